"""Configurations: presets, their JSON, and sentences for what cannot be built."""

import dataclasses
import json
import math

import pytest

from ravecourse.config import (
    DISCRIMINATOR_FIELDS,
    PRESETS,
    TRAINING_PRESETS,
    DiscriminatorConfig,
    ModelConfig,
    TrainingConfig,
    preset,
    training_preset,
)
from ravecourse.errors import RaveCourseError


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name", PRESETS)
def test_presets_go_through_json(name: str, channels: int, causal: bool) -> None:
    config = preset(name, causal=causal, channels=channels)
    assert config.preset == name and config.causal == causal and config.channels == channels
    assert not config.published_causal
    again = ModelConfig.from_json(config.to_json())
    assert again == config and hash(again) == hash(config)
    training = training_preset(name)
    assert TrainingConfig.from_json(training.to_json()) == training


def test_causal_is_the_presets_own_unless_asked() -> None:
    assert {name for name in PRESETS if preset(name).causal} == {"low_latency"}
    assert preset("low_latency") == PRESETS["low_latency"]
    assert not preset("low_latency", causal=False).causal and preset("tiny", causal=True).causal


def test_every_preset_has_a_training() -> None:
    assert list(PRESETS) == list(TRAINING_PRESETS)


def test_hop_length() -> None:
    hops = {"tiny": 256, "low_latency": 128, "small": 1024, "v1": 2048, "v2": 2048}
    assert {name: preset(name).hop_length for name in PRESETS} == hops


def test_overrides() -> None:
    config = preset("v2", latent_size=16, sample_rate=44100, published_causal=True, causal=True)
    assert (config.latent_size, config.sample_rate, config.published_causal) == (16, 44100, True)
    assert training_preset("tiny", batch_size=3).batch_size == 3
    assert PRESETS["v2"].latent_size == 128
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.latent_size = 1


@pytest.mark.parametrize(
    "overrides, says",
    [
        ({"architecture": "v3"}, "architecture is 'v3'; use 'v1' or 'v2'"),
        ({"channels": 0}, "channels is 0"),
        ({"n_bands": 12}, "n_bands is 12; use 4, 8 or 16"),
        ({"pqmf": "haar"}, "pqmf is 'haar'"),
        ({"ratios": ()}, "ratios is ()"),
        ({"ratios": (4, 1)}, "every stage divides by 2 or more"),
        ({"ratios": (4, 4, 4)}, "dilations has 2 stages and ratios 3"),
        ({"latent_size": 0}, "latent_size is 0"),
        ({"sample_rate": 4000}, "sample_rate is 4000 Hz"),
        ({"noise_strides": (4, 8)}, "must divide the 16 sub-band samples"),
        ({"noise_bands": 1}, "noise_bands is 1; use 0 for no noise, or 2 to 5"),
        ({"noise_bands": 6}, "noise_bands is 6; use 0 for no noise, or 2 to 5"),
        ({"ratios": (4, 3), "noise_bands": 0}, "The hop is 192 samples; nn~ needs a power of two"),
    ],
)
def test_what_cannot_be_built_is_said(overrides: dict, says: str) -> None:
    with pytest.raises(RaveCourseError) as caught:
        preset("tiny", **overrides)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "overrides, says",
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"phase_one_steps": 0}, "phase_one_steps is 0"),
        ({"crop_samples": -1}, "crop_samples is -1"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"phase_two_steps": -1}, "phase_two_steps is -1"),
        ({"discriminator_every": 1}, "discriminator_every is 1"),
    ],
)
def test_what_cannot_be_trained_is_said(overrides: dict, says: str) -> None:
    with pytest.raises(RaveCourseError, match=says):
        training_preset("tiny", **overrides)
    assert training_preset("tiny", phase_two_steps=0).phase_two_steps == 0


def test_unknown_preset_lists_the_known() -> None:
    for function in (preset, training_preset):
        with pytest.raises(RaveCourseError, match="no preset 'v9'. Choose one of: tiny, low_latency, small, v1, v2"):
            function("v9")


def test_json_of_another_version() -> None:
    text = preset("tiny").to_json()
    with pytest.raises(RaveCourseError, match="does not know: wings"):
        ModelConfig.from_json(text.replace('"preset"', '"wings": 2, "preset"'))
    with pytest.raises(RaveCourseError, match="incomplete"):
        ModelConfig.from_json('{"preset": "tiny"}')
    with pytest.raises(RaveCourseError):
        ModelConfig.from_json(text.replace('"v2"', '"v7"'))


@pytest.mark.parametrize("name", PRESETS)
def test_files_that_kept_the_discriminator_beside_the_model(name: str) -> None:
    model, training = preset(name), training_preset(name)
    stored = json.loads(training.to_json())
    earlier = json.dumps({**json.loads(model.to_json()), **stored.pop("discriminator")})
    assert DISCRIMINATOR_FIELDS <= json.loads(earlier).keys()
    assert ModelConfig.from_json(earlier) == model
    assert TrainingConfig.from_json(json.dumps(stored), earlier) == training


@pytest.mark.parametrize(
    ("causal", "looks_ahead", "published"), [(False, True, False), (True, True, True), (True, False, False)]
)
def test_files_that_said_whether_upsampling_looks_ahead(causal: bool, looks_ahead: bool, published: bool) -> None:
    stored = json.loads(preset("tiny", causal=causal).to_json())
    del stored["published_causal"]
    found = ModelConfig.from_json(json.dumps({**stored, "lookahead_upsampling": looks_ahead}))
    assert found == preset("tiny", causal=causal, published_causal=published)


ODD = [None, "x", "", [], [[]], {}, True, -1, 0, 0.5, 1e300, 10**30, math.nan, math.inf, [0], [-1], ["x"], [[0]], [1e9]]


@pytest.mark.parametrize("cls", [ModelConfig, TrainingConfig, DiscriminatorConfig])
def test_every_field_takes_every_value_or_says_one_sentence(cls: type) -> None:
    """What a file holds is built, or refused in a sentence; what is built is of the types that it says."""
    made = {ModelConfig: PRESETS["small"], TrainingConfig: TRAINING_PRESETS["small"]}.get(cls, DiscriminatorConfig())
    values = dataclasses.asdict(made)
    refused = 0
    for field in values:
        for odd in ODD:
            text = json.dumps({**values, field: odd})
            try:
                if cls is DiscriminatorConfig:
                    found = TrainingConfig.from_json(
                        json.dumps(
                            {**json.loads(training_preset("small").to_json()), "discriminator": json.loads(text)}
                        )
                    ).discriminator
                else:
                    found = cls.from_json(text)
            except RaveCourseError as error:
                assert "\n" not in str(error) and str(error).endswith(".")
                refused += 1
            else:
                assert not isinstance(getattr(found, field), list | dict)
    assert refused > len(values) * len(ODD) / 2
