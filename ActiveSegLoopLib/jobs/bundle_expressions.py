"""Steps of a MONAI bundle for which MONAI has no transform, as expressions of its config.

Images are x, y, z after their channels. An expression starts with "$", and what follows an "@" is
another item of the config; items that it needs besides these are named where they are made.
"""

from __future__ import annotations

from ActiveSegLoopLib.model.locating import FOUND

# As in images.grids: a whole number of voxels from edge to edge, linear, and averaged over a
# coarser grid's voxels. PyTorch does so for two axes at a time.
ON_GRID = {
    "counts": "$lambda x, spacing: [max(1, round(n * float(old) / new)) "
    "for n, old, new in zip(x.shape[1:], x.pixdim, spacing)]",
    "plane": "$lambda x, size: torch.nn.functional.interpolate(x, size, mode='bilinear', "
    "antialias=True)",
    "volume": "$lambda x, size: @plane(@plane(x, size[1:]).permute(0, 3, 1, 2), size[:2])"
    ".permute(0, 2, 3, 1)",
    "placed": "$lambda x, size: x.affine.matmul(torch.as_tensor("
    "monai.transforms.utils.scale_affine(x.shape[1:], size), dtype=x.affine.dtype))",
    "resized": "$lambda x, size: monai.data.MetaTensor(@volume(x.as_tensor(), size), "
    "meta={**x.meta, 'affine': @placed(x, size)})",
    "on_grid": "$lambda x, spacing: @resized(x, @counts(x, spacing))",
}
# As in images.normalization, kind "case": an image is clipped to percentiles and scaled by mean and
# deviation, without what fills the outside of the scan. Measured on the image as it is, done on the
# networks' grids.
BY_CASE = {
    "rim": "$lambda x: torch.cat([x.select(axis, end).flatten() for axis in (1, 2, 3) "
    "for end in (0, -1)])",
    "padding": "$lambda rim: next((value for value in (rim.min(), rim.max()) "
    "if (rim == value).float().mean() >= 0.5), float('nan'))",
    "without": "$lambda x, value: x[x != value] if (x != value).any() else x.flatten()",
    "evenly": "$lambda values: values[::-(-len(values) // 4000000) | 1]",
    "inside": "$lambda x: @evenly(@without(x, @padding(@rim(x)))).double().numpy()",
    "moments": "$lambda values: (values.mean(), max(values.std(), 1e-8))",
    "limited": "$lambda values, limits: (*limits, *@moments(values.clip(*limits)))",
    "scale": "$lambda values: @limited(values, np.percentile(values, (0.5, 99.5)))",
    "measure": "$lambda data: {**data, **{'scale_' + key: @scale(@inside(data[key].as_tensor())) "
    "for key in @by_case}}",
    "scaled": "$lambda x, low, high, mean, deviation: (x.clip(low, high) - mean) / deviation",
    "normalize": "$lambda data, prefix: {**data, **{prefix + key: "
    "@scaled(data[prefix + key], *data['scale_' + key]) for key in @by_case}}",
}
# Connected parts of a mask (x, y, z) with at least so many voxels.
PARTS = {
    "parts": "$lambda mask: ndimage.label(mask, np.ones((3, 3, 3)))[0]",
    "sizes": "$lambda parts: np.bincount(parts.ravel(), minlength=2)[1:]",
    "of_size": "$lambda parts, voxels: np.append(False, @sizes(parts) >= voxels)[parts]",
}
# As in model.locating and images.regions: boxes around what the locator finds, even with little
# certainty. What lies close together is one organ, parts much smaller than any are none, and boxes
# that have most in common become one. Where nothing is found, the box is the whole image.
LOCATE = {
    "near": "$lambda mask: ndimage.distance_transform_edt(~mask, @coarse_spacing) <= @reach",
    "organs": "$lambda mask: @parts(@near(mask)) * mask",
    "box": "$lambda slices: np.array([[s.start for s in slices], [s.stop for s in slices]])",
    "wider": "$lambda box, shape: np.clip(box + np.outer((-1, 1), @margin), 0, shape)",
    "boxes": "$lambda organs: [@wider(@box(slices), organs.shape) for slices, size in "
    "zip(ndimage.find_objects(organs), @sizes(organs)) if size >= @smallest_part]",
    "union": "$lambda boxes: np.array([np.min(boxes, 0)[0], np.max(boxes, 0)[1]])",
    "extent": "$lambda box: np.prod(box[1] - box[0])",
    "alike": "$lambda a, b: (np.minimum(a[1], b[1]) > np.maximum(a[0], b[0])).all() "
    "and @extent(@union([a, b])) <= @extent(a) + @extent(b)",
    "joined": "$lambda boxes, box: [b for b in boxes if not @alike(b, box)] "
    "+ [@union([box, *(b for b in boxes if @alike(b, box))])]",
    "merged": "$lambda boxes: functools.reduce(@joined, functools.reduce(@joined, boxes, []), [])",
    "found": f"$lambda odds: @merged(@boxes(@organs(odds[1].numpy() > {FOUND})))",
    "outward": "$lambda box, coarse, fine: np.array([box[0] * fine // coarse, "
    "-(-box[1] * fine // coarse)])",
    "located": "$lambda image, fine: [@outward(box, np.array(image.shape[1:]), fine) for box in "
    "@found(torch.softmax(@locator_inferer(image[None], @locator), 1)[0])] "
    "or [np.array([0 * fine, fine])]",
    "locate": "$torch.no_grad()(lambda data: {**data, 'boxes': "
    "@located(data['coarse'].as_tensor(), np.array(data[@keys[0]].shape[1:]))})",
}
# As in model.prediction: each box is segmented on its own, and written over what is there.
PASTE = {
    "cut": "$lambda data, box: {**data, **{key: monai.transforms.SpatialCrop("
    "roi_start=box[0], roi_end=box[1])(data[key]) for key in @keys}}",
    "odds": "$lambda data: torch.softmax("
    "@inferer(data['image'].as_tensor()[None], @network), 1)[0]",
    "label": "$lambda data, box: @volume(@odds(@region(@cut(data, box))), "
    "(box[1] - box[0]).tolist()).argmax(0)",
    "pasted": "$lambda label, box, shape: torch.nn.functional.pad(label, [int(n) for lower, upper, "
    "size in reversed(list(zip(*box, shape))) for n in (lower, size - upper)])",
    "over": "$lambda under, label: torch.where(label > 0, label, under)",
    "labels": "$lambda data: functools.reduce(@over, [@pasted(@label(data, box), box, "
    "data[@keys[0]].shape[1:]) for box in data['boxes']])",
}
# Of each label the parts that are no islands; its largest one is none.
ISLANDS = {
    "mainland": "$lambda parts, voxels: @of_size(parts, min(voxels, @sizes(parts).max()))",
    "drop_islands": "$lambda x: x * torch.as_tensor(np.any([@mainland(@parts(x[0].numpy() == "
    "channel), limit / float(x.pixdim.prod())) for channel, limit in "
    "enumerate(@island_limits, 1)], axis=0))[None]",
}


# Whether there is a locator: what is done with a case that was prepared.
SEGMENT = {
    False: "$torch.no_grad()(lambda data: @postprocessing({**data, 'pred': monai.data.MetaTensor("
    "@inferer(data['image'][None], @network)[0], meta=data['image'].meta)}))",
    True: "$torch.no_grad()(lambda data: @postprocessing({**data, 'pred': monai.data.MetaTensor("
    "@labels(data)[None].float(), meta=data[@keys[0]].meta)}))",
}
