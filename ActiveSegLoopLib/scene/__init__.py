"""MRML nodes made of the engine's volumes, labels and results, and back (slicer, vtk; no qt)."""
