"""A strategy's run: propose, label, train, test, again until the budget or the pool is spent."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from ActiveSegLoopLib.model.prediction import Predictor
from ActiveSegLoopLib.selection.proposal import Proposal
from ActiveSegLoopLib.selection.proposing import NothingLeft, propose
from ActiveSegLoopLib.simulation.experiment import Experiment
from ActiveSegLoopLib.simulation.labeling import LabelingEffort, label_case, labeled_slices
from ActiveSegLoopLib.simulation.records import finished_rounds, plain
from ActiveSegLoopLib.simulation.run_key import FULL, START, RunKey
from ActiveSegLoopLib.simulation.runs import Laps, Place, Run
from ActiveSegLoopLib.simulation.truth import PoolSize
from ActiveSegLoopLib.simulation.unseen import score_pool, score_unseen
from ActiveSegLoopLib.study.files import atomic_write


class ActiveRun(Run):
    """The run of a strategy, of what all strategies of a seed start from, or of full annotation."""

    def __init__(self, experiment: Experiment, key: RunKey, place: Place) -> None:
        super().__init__(experiment, key, place)
        self.predictor: Predictor | None = None
        self._pool: PoolSize | None = None

    def origin(self) -> Path | None:
        """A strategy begins with the labels and the model that its seed starts from."""
        if self.key.strategy in (START, FULL):
            return None
        return self.experiment.run_folder(RunKey(START, self.key.seed)) / "study"

    def round(self, number: int) -> dict:
        """Propose, label, train and test; the first round of a strategy is its start's."""
        if number == 0 and self.key.strategy not in (START, FULL):
            return finished_rounds(self.experiment, RunKey(START, self.key.seed))[0]
        lap = Laps()
        asked = self._batch(number)
        batch = asked["proposals"]
        lap("propose")
        effort = self._label(batch, number)
        lap("label")
        current = self.train(number)
        self.predictor = Predictor.load(current.folder, self.place.device)
        lap("train")
        tested = score_unseen(
            self.study, self.truth, self.predictor, self.settings, self.key.seed, self.go_on
        )
        if self.settings.score_pool:
            tested |= score_pool(self.study, self.truth, self.predictor, self.go_on)
        lap("test")
        return {
            "round": number,
            **plain(self._budget()),
            "exhausted": not batch and number > 0 and self.key.strategy != FULL,
            "effort": asdict(effort),
            **tested,
            "batch": batch,
            "notes": asked["notes"],
            "seconds": lap.seconds,
            "versions": dict(current.versions),
            "settings": dict(current.settings),
        }

    def _batch(self, number: int) -> dict[str, list]:
        """The "proposals" of a round and the strategy's "notes" on them.

        Made once: after a kill the very same are labeled.
        """
        path = self.folder / "batches" / f"round-{number:02d}.json"
        if not path.exists():
            notes: list[str] = []
            found = {"proposals": self._propose(number, notes), "notes": notes}
            with atomic_write(path) as temporary:
                temporary.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        found = json.loads(path.read_text(encoding="utf-8"))
        # Earlier versions kept the proposals alone.
        return found if isinstance(found, Mapping) else {"proposals": found, "notes": []}

    def _propose(self, number: int, notes: list[str]) -> list[dict]:
        if number > 0 and self.lines[-1]["share"] >= 1:
            return []
        if self.key.strategy == FULL:
            return [
                {"case": case.name, "unit": "volume", "plane": None, "index": None}
                for case in self.study.cases("pool")
            ]
        try:
            return [proposal.to_dict() for proposal in self._asked(number, notes)]
        except NothingLeft:
            if number == 0:
                raise
            return []  # The rules keep back what isn't labeled: the run ends here.

    def _asked(self, number: int, notes: list[str]) -> list[Proposal]:
        settings, first = self.settings, number == 0
        return propose(
            self.study,
            unit=settings.unit,
            count=settings.start if first else settings.step,
            strategy=settings.initial if first else self.key.strategy,
            plane=settings.plane,
            seed=self.key.seed,
            predictor=None if first else self._current_predictor(),
            device=self.place.device,
            min_distance_mm=settings.min_distance_mm,
            per_case=settings.per_case,
            per_class=settings.per_class,
            passes=settings.passes,
            round_index=number,
            rounds=settings.rounds,
            report=self._noting(notes),
            should_stop=self.place.should_stop,
        )

    def _noting(self, notes: list[str]) -> Callable[..., None]:
        """Keeps what the strategy says of its choice, and reports all else."""

        def report(kind: str, **data) -> None:
            if kind == "message":
                notes.append(data["text"])
                return
            if kind == "warning":
                data["text"] = f"{self.key.name}: {data['text']}"
            self.place.report(kind, **data)

        return report

    def _label(self, batch: Sequence[dict], number: int) -> LabelingEffort:
        slices: dict[str, list[int] | None] = {}
        for proposal in batch:
            if proposal["unit"] == "volume":
                slices[proposal["case"]] = None
            else:
                slices.setdefault(proposal["case"], []).append(proposal["index"])
        corrected = self.settings.corrected and number > 0
        predictor = self._current_predictor() if corrected and batch else None
        model_round = self.trained()[number - 1].number if corrected else None
        effort = LabelingEffort()
        for name, indices in slices.items():
            self.go_on()
            effort += label_case(
                self.study, self.study.case(name), self.truth.labelmap(self.study, name), indices,
                self.settings.plane, predictor, model_round, self.settings.tolerance_mm,
            )
        return effort

    def _current_predictor(self) -> Predictor:
        if self.predictor is None:
            last = self.trained()[len(self.lines) - 1]
            self.predictor = Predictor.load(last.folder, self.place.device)
        return self.predictor

    def _budget(self) -> dict:
        """How much of the pool is labeled now."""
        if self._pool is None:
            self._pool = self.truth.pool_size(self.study, self.settings.plane)
        slices = volumes = foreground = 0
        for case in self.study.cases("pool"):
            done = labeled_slices(self.study, case, self.settings.plane)
            slices += len(done)
            volumes += bool(done)
            foreground += int(self._pool.per_slice[case.name][done].sum())
        units = slices if self.settings.unit == "slice" else volumes
        return {
            "units": units,
            "share": units / self._pool.units(self.settings.unit),
            "slices": slices,
            "volumes": volumes,
            "foreground_share": foreground / max(1, self._pool.foreground),
        }
