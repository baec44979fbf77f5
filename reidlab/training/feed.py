"""What `fit` eats: checked images, zero-based labels, batches for an epoch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from reidlab.data.images import ImageDataset, check_images
from reidlab.data.packs import is_packed
from reidlab.data.samplers import PKSampler, ShuffleSampler, epoch_seed
from reidlab.data.samples import DISTRACTOR, Batch, Sample, cameras_of, training_ids, views_of
from reidlab.data.transforms import EvalTransform, Share
from reidlab.data.tuples import TupleSampler
from reidlab.training.config import TrainConfig
from reidlab.training.processes import Team

MEMORY_LIMIT = 2 * 1024**3  # bytes of uint8 images that are kept without asking


class TrainingData:
    """Samples made ready for `fit`.

    Args:
        samples: training images; no distractors, no junk.
        preprocess: size and normalisation of the network.
        config: sampler, augmentation, where images are kept, what happens to bad ones.
        team: processes that share every batch.
        progress: show bars while reading.

    Raises:
        ValueError: no samples, distractors or junk among them, bad images, too few people.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        preprocess: EvalTransform,
        config: TrainConfig,
        team: Team | None = None,
        *,
        progress: bool = False,
    ) -> None:
        self.team = team or Team()
        progress = progress and self.team.leads
        if outsiders := sum(sample.pid <= DISTRACTOR for sample in samples):
            raise ValueError(
                f"{outsiders} training samples are distractors (0) or junk (-1): nobody to learn; "
                "pass splits.train, or filter by pid > 0"
            )
        self.ids = training_ids(samples)  # of all samples: a bad image never renumbers people
        self.cameras, self.views = cameras_of(samples), views_of(samples)
        self.preprocess, self.config = preprocess, config
        self.positions = torch.arange(len(samples))  # in `samples`, bad images left out below
        if not is_packed(samples, preprocess.size):
            good = check_images(samples, on_error=config.on_error, progress=progress)
            kept = {id(sample) for sample in good}
            self.positions = torch.tensor([i for i, s in enumerate(samples) if id(s) in kept])
            samples = good
        self.dataset = ImageDataset(
            samples,
            preprocess.size,
            interpolation=config.transform.interpolation,
            in_memory=self._fits(len(samples)),
            progress=progress,
        )
        self._label(samples)
        self.sampler = self._sampler()

    def _fits(self, count: int) -> bool:
        if self.config.in_memory is not None:
            return self.config.in_memory
        height, width = self.preprocess.size
        return 3 * height * width * count * self.team.size <= MEMORY_LIMIT

    def _label(self, samples: Sequence[Sample]) -> None:
        class_of = {pid: i for i, pid in enumerate(self.ids)}
        camera_of = {camid: i for i, camid in enumerate(self.cameras)}
        self.pids = torch.tensor([class_of[sample.pid] for sample in samples])
        self.camids = torch.tensor([camera_of[sample.camid] for sample in samples])
        views = [sample.viewid for sample in samples if sample.viewid is not None]
        view_of = {view: i for i, view in enumerate(self.views)}
        complete = len(views) == len(samples)
        self.viewids = torch.tensor([view_of[view] for view in views]) if complete else None
        tables = [sample.attributes for sample in samples if sample.attributes is not None]
        complete = len(tables) == len(samples)
        names = tables[0] if complete else ()
        if any(table.keys() != tables[0].keys() for table in tables):
            raise ValueError(
                "the samples have different attribute columns; give all of them the labels of one "
                "table: annotate(samples, read_attributes(FILE))"
            )
        self.attributes = {n: torch.tensor([table[n] for table in tables]) for n in names}

    def _sampler(self) -> PKSampler | ShuffleSampler | TupleSampler:
        config, processes = self.config, self.team.size
        if config.images_per_batch < 2 * processes:
            raise ValueError(
                f"{processes} processes need {2 * processes} images per batch or more (P x K): "
                f"batch norm cannot train on one; got {config.images_per_batch}"
            )
        own: dict[str, int] = {
            "seed": config.seed,
            "rank": self.team.rank,
            "processes": self.team.size,
        }
        pids = self.pids.tolist()
        if config.sampler in ("pk", "groups"):
            sizes = config.ids_per_batch, config.images_per_id
            return PKSampler(pids, *sizes, **own, distinct=config.sampler == "pk")
        if config.sampler in ("pairs", "triplets"):
            return TupleSampler(pids, config.sampler, config.batch_size, **own)
        return ShuffleSampler(len(self.dataset), config.batch_size, **own)

    def epoch(self, epoch: int) -> list[list[int]]:
        """Positions per batch of epoch `epoch`, counted from 0; this process's share of them.

        Raises:
            ValueError: there is not a single batch.
        """
        self.sampler.set_epoch(epoch)
        batches = list(self.sampler)
        if not batches:
            raise ValueError("the samples do not fill a single batch; lower the batch size")
        return batches

    def room(self, epoch: int) -> int | None:
        """Steps that `max_steps` leaves for epoch `epoch`, counted from 0; None: all there are."""
        if self.config.max_steps is None:
            return None
        done = sum(len(self.epoch(earlier)) for earlier in range(epoch))
        return max(0, self.config.max_steps - done)

    def batches(
        self, indices: list[list[int]], epoch: int, device: torch.device
    ) -> Iterator[Batch]:
        """Augmented batches on `device`; augmentation depends on (seed, epoch) only.

        An image is augmented in the same way however many processes share its batch.
        """
        generator = torch.Generator().manual_seed(epoch_seed(self.config.seed, epoch))
        for index, images in self.dataset.batches(indices):
            share = Share(self.team.rank * len(index), self.team.size * len(index))
            images = images.to(device, non_blocking=True)
            images = self.config.transform(images, self.preprocess, generator, share)
            yield self._batch(index, images)

    def _batch(self, index: Tensor, images: Tensor) -> Batch:
        batch = Batch(
            images=images,
            pids=self.pids[index],
            camids=self.camids[index],
            index=self.positions[index],
            viewids=None if self.viewids is None else self.viewids[index],
            attributes={n: codes[index] for n, codes in self.attributes.items()} or None,
        )
        return batch.to(images.device)

    def digest(self) -> str:
        """Short hash of names, sizes and labels, to recognise the data of an interrupted run."""
        lines = [f"{self.ids} {self.cameras}"]
        for sample in self.dataset.samples:
            size = sample.path.stat().st_size
            lines.append(f"{sample.path.name} {size} {sample.pid} {sample.camid}")
        found = hashlib.sha256("\n".join(lines).encode())
        for name, codes in sorted(self.attributes.items()):
            found.update(name.encode() + codes.numpy().tobytes())
        return found.hexdigest()[:12]
