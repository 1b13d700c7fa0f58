"""Published networks as judges of pictures, with the preparation of the pictures that their protocol fixes."""

from evaluation.features.inception import InceptionJudge, InceptionJudgement, load_inception_judge

__all__ = ["InceptionJudge", "InceptionJudgement", "load_inception_judge"]
