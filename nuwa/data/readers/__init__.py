"""The paper's datasets, as their publishers ship them: ``READERS[name](root, split)`` lists a split.

A listing has every sample's id, place, captions, class and map, and names what is broken or absent; nothing is decoded
before it is asked for. docs/data.md shows each dataset's folder, and how to add one.
"""

from nuwa.data.readers import (
    bair,
    coco,
    conceptual_captions,
    folder,
    kinetics,
    moments,
    msr_vtt,
    vatex,
    vspw,
    webdataset,
)
from nuwa.data.readers.sample import READERS, Facts, Labels, Listing, Place, Reader, Sample, Stored

__all__ = [
    "READERS",
    "Facts",
    "Labels",
    "Listing",
    "Place",
    "Reader",
    "Sample",
    "Stored",
    "bair",
    "coco",
    "conceptual_captions",
    "folder",
    "kinetics",
    "moments",
    "msr_vtt",
    "vatex",
    "vspw",
    "webdataset",
]
