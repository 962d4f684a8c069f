"""What a model of a preset needs for the sound that it is to learn: with a pitch a source, without one none.

Notebook: 04.
"""

from dataclasses import replace

from ravecourse.config import ModelConfig, TrainingConfig
from ravecourse.dataset import CropSampler, Dataset
from ravecourse.model import Controls

LEAST_PITCHED = 0.75  # share of what is heard; measured: solo lines and a piano .9 and more, a band .7, drums .4
CROPS, CROP_SECONDS = 48, 0.34  # that are listened to
WAVEFORM_STEPS = 300  # of a small model without a source: it has to learn to pass a waveform's phase through its latent


def pitched_share(dataset: Dataset, config: ModelConfig) -> float:
    """Share of what is heard in a dataset that has a pitch, 0 to 1, from crops all over it.

    Args:
        config: of a model with a source; its range of pitch counts.
    Notebook: 04.
    """
    samples = round(CROP_SECONDS * dataset.sample_rate / config.hop_length + 1) * config.hop_length
    crops = CropSampler(dataset, "train", samples, CROPS, seed=0)
    return Controls(config).pitched_share(crops.batch(0).audio)


def fit_to_sound(
    model_config: ModelConfig, training_config: TrainingConfig, dataset: Dataset
) -> tuple[ModelConfig, TrainingConfig, str]:
    """The configurations of a new training, without the source where less than three quarters of what is heard have a pitch.

    A source that has little to sing costs a third of the steps: a band came out closer without one after the same time.

    Returns:
        model and training configuration, and a sentence for people, "" where nothing changed.
    Notebook: 04.
    """
    if not model_config.harmonics:
        return model_config, training_config, ""
    share = pitched_share(dataset, model_config)
    if share >= LEAST_PITCHED:
        return model_config, training_config, ""
    plain = replace(training_config, waveform_steps=max(training_config.waveform_steps, WAVEFORM_STEPS))
    said = (
        f"Only {share:.0%} of what is heard has a pitch, so the model gets no source: its latent has no pitch and no "
        "loudness dimension (--source keeps them)."
    )
    return replace(model_config, harmonics=0), plain, said
