"""Facts on public benchmarks: where they lie, how large they are, how to obtain them.

Nothing is ever downloaded: the user supplies a folder, and these tables say what belongs into it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reidlab.data.samples import JUNK, Sample, people

Counts = Mapping[str, tuple[int | None, int | None]]


@dataclass(frozen=True)
class Benchmark:
    """One public benchmark.

    Args:
        key: the name that `read_dataset` understands.
        title: the name in tables.
        folders: names looked for below the data folder, in this order.
        counts: variant -> part -> (images, people) as published, None where nobody says; the
            variant is "" where there is but one. Junk (-1) is not counted, nor are distractors
            (0) counted as people.
        where: how to obtain it, a full sentence.
        terms: licence, agreement, withdrawal, a full sentence.
        source: the paper.
    """

    key: str
    title: str
    folders: tuple[str, ...]
    counts: Mapping[str, Counts]
    where: str
    terms: str
    source: str


WITHDRAWN = (
    "Duke University withdrew the DukeMTMC data, and with it all that was cut from them, in 2019 "
    "over the privacy of the people filmed; reidlab does not help to obtain copies."
)
LAWFUL = "Nobody gives it out any more; only a folder that you lawfully have can be read."

MARKET = Benchmark(
    key="market1501",
    title="Market-1501",
    folders=("Market-1501-v15.09.15", "market1501", "Market-1501"),
    # The dataset's own readme, and Zheng et al. 2015, section 3. `bounding_box_test` holds 19,732
    # files: 13,115 of the 750 people, 2,798 distractors, 3,819 junk.
    counts={"": {"train": (12936, 751), "query": (3368, 750), "gallery": (15913, 750)}},
    where="Its authors give it out at https://zheng-lab.cecs.anu.edu.au/Project/project_reid.html.",
    terms="For research only.",
    source="Zheng et al. 2015, Scalable Person Re-identification: A Benchmark (ICCV)",
)
DUKE = Benchmark(
    key="dukemtmc",
    title="DukeMTMC-reID",
    folders=("DukeMTMC-reID", "dukemtmc-reid", "dukemtmcreid", "dukemtmc"),
    # Zheng, Zheng and Yang 2017 (arXiv:1701.07717), section 4.1: 702 people train, 702 ask, and
    # 408 more are searched, so 1,110 in the gallery.
    counts={"": {"train": (16522, 702), "query": (2228, 702), "gallery": (17661, 1110)}},
    where=LAWFUL,
    terms=WITHDRAWN,
    source="Ristani et al. 2016, Performance Measures and a Data Set for Multi-Target, "
    "Multi-Camera Tracking; Zheng, Zheng and Yang 2017 (arXiv:1701.07717)",
)
OCCLUDED_DUKE = Benchmark(
    key="occluded-duke",
    title="Occluded-Duke",
    folders=("Occluded_Duke", "Occluded-Duke", "Occluded-DukeMTMC"),
    # Miao et al. 2019, table 1.
    counts={"": {"train": (15618, 702), "query": (2210, 519), "gallery": (17661, 1110)}},
    where=LAWFUL,
    terms=WITHDRAWN,
    source="Miao et al. 2019, Pose-Guided Feature Alignment for Occluded Person "
    "Re-Identification (ICCV)",
)
_MSMT_TEST = {"query": (11659, 3060), "gallery": (82161, 3060)}
MSMT17 = Benchmark(
    key="msmt17",
    title="MSMT17",
    folders=("MSMT17", "msmt17", "MSMT17_V1", "MSMT17_V2"),
    # Wei et al. 2018, table 1 and section 3; the 32,621 training images are 30,248 of the train
    # list and 2,373 of the val list, of the same 1,041 people. Both versions count the same.
    counts={
        "with validation": {"train": (32621, 1041), **_MSMT_TEST},
        "without validation": {"train": (30248, 1041), **_MSMT_TEST},
    },
    where="Ask its authors by e-mail, with the signed release agreement; their page "
    "(http://www.pkuvmc.com/dataset.html) has been down for years.",
    terms="Given out under an agreement, for research only; version 2 blurs the faces.",
    source="Wei et al. 2018, Person Transfer GAN to Bridge Domain Gap for Person "
    "Re-Identification (CVPR)",
)
CUHK03 = Benchmark(
    key="cuhk03",
    title="CUHK03",
    folders=("cuhk03-np", "CUHK03-NP", "cuhk03", "CUHK03", "cuhk03_release"),
    # Zhong et al. 2017 (arXiv:1701.08398), table 2: the new protocol with 767 and 700 people.
    counts={
        "labeled": {"train": (7368, 767), "query": (1400, 700), "gallery": (5328, 700)},
        "detected": {"train": (7365, 767), "query": (1400, 700), "gallery": (5332, 700)},
    },
    where="Ask for it with the form at "
    "http://www.ee.cuhk.edu.hk/~xgwang/CUHK_identification.html; the lists of the new protocol "
    "are at https://github.com/zhunzhong07/person-re-ranking.",
    terms="Given out on request, for research only.",
    source="Li et al. 2014, DeepReID (CVPR); Zhong et al. 2017 (arXiv:1701.08398)",
)
VERI = Benchmark(
    key="veri776",
    title="VeRi-776",
    folders=("VeRi", "VeRi-776", "VeRi776"),
    # The dataset's page: 37,778 images of 576 vehicles train, 11,579 of 200 are searched.
    counts={"": {"train": (37778, 576), "query": (1678, 200), "gallery": (11579, 200)}},
    where="Ask its authors by e-mail, see https://vehiclereid.github.io/VeRi/.",
    terms="Given out on request, for research only.",
    source="Liu et al. 2016, Large-Scale Vehicle Re-Identification in Urban Surveillance Videos "
    "(ICME)",
)
_VEHICLES = {"train": (113346, 13164)}  # lines and numbers in train_list.txt
VEHICLEID = Benchmark(
    key="vehicleid",
    title="VehicleID",
    folders=("VehicleID_V1.0", "VehicleID", "PKU-VehicleID"),
    # Lines of test_list_*.txt: 6,493, 13,377 and 19,777; one image per vehicle is searched.
    counts={
        "800": {**_VEHICLES, "query": (5693, 800), "gallery": (800, 800)},
        "1600": {**_VEHICLES, "query": (11777, 1600), "gallery": (1600, 1600)},
        "2400": {**_VEHICLES, "query": (17377, 2400), "gallery": (2400, 2400)},
    },
    where="Ask for it as https://www.pkuml.org/resources/pku-vehicleid.html says.",
    terms="Given out on request, for research only.",
    source="Liu et al. 2016, Deep Relative Distance Learning (CVPR)",
)
LUPERSON = Benchmark(
    key="luperson",
    title="LUPerson",
    folders=("LUPerson", "LUPerson-images", "luperson"),
    # Fu et al. 2021, table 1: 4,180,243 images, "over 200K" people that nobody has labelled.
    counts={"": {"train": (4180243, None)}},
    where="Ask its authors by e-mail, see https://github.com/DengpanFu/LUPerson.",
    terms="Given out on request, for research only; cut from videos of public places.",
    source="Fu et al. 2021, Unsupervised Pre-training for Person Re-identification (CVPR)",
)
BENCHMARKS = {
    benchmark.key: benchmark
    for benchmark in (MARKET, DUKE, MSMT17, CUHK03, OCCLUDED_DUKE, VERI, VEHICLEID, LUPERSON)
}


def benchmark_called(folder: Path, among: Sequence[Benchmark]) -> Benchmark | None:
    """The benchmark that a folder's name speaks of, in any capitals; None for one's own folder."""
    name = folder.name.lower()
    for benchmark in among:
        if name in (known.lower() for known in benchmark.folders):
            return benchmark
    return None


def how_to_obtain(benchmark: Benchmark) -> str:
    """Sentences that say where to obtain a benchmark, under which terms, and where to put it."""
    return (
        f"It is not downloaded for you. {benchmark.terms} {benchmark.where} Put it there, or say "
        "where it is with root= (--root) or $REIDLAB_DATA"
    )


def compare_counts(
    benchmark: Benchmark | None, variant: str, parts: Mapping[str, Sequence[Sample]]
) -> list[str]:
    """A sentence per part whose size is not the published one.

    Args:
        benchmark: None has nothing to compare with.
        variant: key of its `counts`.
        parts: samples by part.
    """
    notes = []
    for part, (images, persons) in (benchmark.counts[variant] if benchmark else {}).items():
        samples = parts.get(part, [])
        found = sum(sample.pid != JUNK for sample in samples)
        shown = len(people(samples))
        if found != (images or found) or shown != (persons or shown):
            of = f" of {persons:,}" if persons else ""
            has = f" of {shown:,}" if persons else ""
            notes.append(
                f"{benchmark.title if benchmark else ''}: {part} has {found:,} images{has}, "
                f"expected {images:,}{of} as published"
            )
    return notes
