"""One step of training, of each kind: the losses, their gradients, and whose weights move.

Notebook: 04 (phase one), 06 (phase two).
"""

import copy
import math
import time
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ravecourse.config import PARTS, ModelConfig, TrainingConfig
from ravecourse.model import RAVE, kl_divergence
from ravecourse.runtime import mixed_seed

from . import losses, spectra
from .discriminator import Discriminator, scores
from .spectra import SpectralDistance

NOISE_SEED = 1 << 32  # keeps the draws of the noise apart from the draws of the crops
VALIDATION_SEED = 1 << 33


class Learner:
    """The model, its discriminators and their optimisers, with one method for each kind of step.

    Phase one trains encoder and decoder as a variational autoencoder. Phase two freezes the encoder, batch
    statistics included, and trains the decoder against the discriminators.

    Args:
        model_config, training_config: what to build and how to train it.
        device: where.
    Source: RAVE (arXiv 2111.05011), section 3.1. Notebook: 04.
    """

    def __init__(self, model_config: ModelConfig, training_config: TrainingConfig, device: torch.device) -> None:
        self.config, self.device = training_config, device
        self.model = RAVE(model_config, training_config.seed).to(device)
        self.discriminator = Discriminator(
            training_config.discriminator, model_config.channels, training_config.seed + 1
        )
        self.discriminator.to(device)
        self.on_signal = SpectralDistance(training_config.stft_scales)
        self.on_bands = SpectralDistance(training_config.band_stft_scales)
        self.phase = 1
        self.noise = model_config.architecture != "v1"  # in v1 the noise synthesiser plays from phase two on
        trained = [p for part in training_config.trained_parts for p in self._parameters(part)]
        self.optimiser = self._adam(trained)  # of the model: its trained parts, in phase two the decoder
        self.discriminator_optimiser = self._adam(list(self.discriminator.parameters()))
        self._train_mode()

    def _parameters(self, part: str) -> list[nn.Parameter]:
        return [parameter for module in self.model.modules_of(part) for parameter in module.parameters()]

    def _train_mode(self) -> None:
        """Training mode, batch statistics included, for the parts that learn; the others stay as they are."""
        self.model.train()
        for part in PARTS:
            if part not in self.config.trained_parts or (part == "encoder" and self.phase == 2):
                for module in self.model.modules_of(part):
                    module.requires_grad_(False).eval()

    def _adam(self, parameters: list[nn.Parameter]) -> torch.optim.Adam:
        return torch.optim.Adam(parameters, betas=self.config.adam_betas, fused=True)

    def compile(self) -> None:
        """Let `torch.compile` make programs of the networks for the steps; all else runs them as they are.

        Notebook: 04.
        """
        # Not the decoder's noise: its draws come from a generator, which the compiler leaves to Python.
        for network in (self.model.encoder, self.model.decoder.trunk, self.discriminator):
            network.forward = torch.compile(network.forward, dynamic=False)  # type: ignore[method-assign]

    def enter_phase_two(self) -> None:
        """Freeze the encoder, switch the noise on, and begin anew with the decoder's optimiser.

        Source: RAVE (arXiv 2111.05011), section 3.1. Notebook: 06.
        """
        self.phase, self.noise = 2, True
        self.model.noise_level.fill_(1.0)
        self._train_mode()
        self.optimiser = self._adam(self._parameters("decoder"))

    def step(self, audio: Tensor, step: int, phase_two_start: int) -> dict[str, Tensor]:
        """Do step number `step` on a batch; the same numbers give the same weights, whatever was done before.

        Args:
            audio: `[B, C, T]`, T a multiple of the hop.
            step: counted from 0 over both phases.
            phase_two_start: the first step of phase two.
        Returns:
            the losses, as scalars on the device, detached; "loss" is the sum that the optimiser descended.
        Source: RAVE (arXiv 2111.05011), section 3.1. Notebook: 04.
        """
        generator = torch.Generator(self.device).manual_seed(mixed_seed(NOISE_SEED + self.config.seed, step))
        audio = audio.to(self.device, non_blocking=True)
        if self.phase == 1:
            found = self.autoencoder_step(audio, step, generator)
        elif (step - phase_two_start) % self.config.discriminator_every == 0:
            found = self.discriminator_step(audio, generator, learning_rate(self.config, step, phase_two_start))
        else:
            found = self.decoder_step(audio, generator, learning_rate(self.config, step, phase_two_start))
        return {name: value.detach() for name, value in found.items()}

    def autoencoder_step(self, audio: Tensor, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Phase one: spectral distance plus beta times the KL divergence, for encoder and decoder.

        The first `waveform_steps` compare waveforms in place of spectra; "spectral" and "spectral_bands" are then
        only reported.

        Source: RAVE (arXiv 2111.05011), section 3.1, equation 5. Notebook: 04.
        """
        config, model = self.config, self.model
        target = model.split(audio)  # [B, C * bands, T / bands]
        mean, std = model.encode_learned(audio, target)  # [B, D, F]
        z = self._with_controls(audio, model.sample(mean, std, generator))
        estimate, bands = model.decode_both(z, self.noise, generator)
        with torch.set_grad_enabled(step >= config.waveform_steps):
            spectral = self.on_signal(audio, estimate)
            spectral_bands = self.on_bands(target, bands)
        # Published settings of beta count the divergence without its factor of a half.
        kl = 2 * kl_divergence(mean, std).sum()
        beta = losses.beta_at(step, config.beta_start, config.beta, config.beta_ramp_steps)
        distance = spectral + spectral_bands
        if step < config.waveform_steps:
            distance = losses.waveform_distance(target, bands)
        loss = distance + beta * kl
        self._descend(self.optimiser, loss, learning_rate(config, step))
        return {"loss": loss, "spectral": spectral, "spectral_bands": spectral_bands, "kl": kl}

    def decoder_step(self, audio: Tensor, generator: torch.Generator, rate: float | None = None) -> dict[str, Tensor]:
        """Phase two, the decoder's turn: spectral, adversarial and feature-matching losses.

        Args:
            rate: learning rate; None for the one that phase two begins with.

        Source: RAVE (arXiv 2111.05011), section 3.1, equations 6 to 8. Notebook: 06.
        """
        config, model = self.config, self.model
        with torch.no_grad():
            target = model.split(audio)
            z = self._with_controls(audio, model.sample(*model.encode_learned(audio, target), generator))
            real = self.discriminator(audio)
        estimate, bands = model.decode_both(z, self.noise, generator)
        self.discriminator.requires_grad_(False)  # their gradients would only be thrown away
        fake = self.discriminator(estimate)
        spectral, spectral_bands = self.on_signal(audio, estimate), self.on_bands(target, bands)
        adversarial = losses.hinge_generator(scores(fake))
        matching = losses.feature_matching(real, fake, config.relative_feature_matching)
        loss = (
            spectral
            + spectral_bands
            + config.adversarial_weight * adversarial
            + config.feature_matching_weight * matching
        )
        self._descend(self.optimiser, loss, config.adversarial_learning_rate if rate is None else rate)
        self.discriminator.requires_grad_(True)
        return {
            "loss": loss,
            "spectral": spectral,
            "spectral_bands": spectral_bands,
            "adversarial": adversarial,
            "feature_matching": matching,
        }

    def discriminator_step(
        self, audio: Tensor, generator: torch.Generator, rate: float | None = None
    ) -> dict[str, Tensor]:
        """Phase two, the discriminators' turn: the hinge loss on recordings and reconstructions.

        Args:
            rate: learning rate; None for the one that phase two begins with.

        Source: RAVE (arXiv 2111.05011), section 3.1, equation 6. Notebook: 06.
        """
        with torch.no_grad():
            mean, std = self.model.encode_learned(audio, self.model.split(audio))
            z = self._with_controls(audio, self.model.sample(mean, std, generator))
            estimate = self.model.decode(z, self.noise, generator)
        both = self.discriminator(torch.cat([audio, estimate]))  # [2 B, C, T]
        halves = [score.chunk(2) for score in scores(both)]
        loss = losses.hinge_discriminator([real for real, _ in halves], [fake for _, fake in halves])
        rate = self.config.adversarial_learning_rate if rate is None else rate
        self._descend(self.discriminator_optimiser, loss, rate)
        return {"discriminator": loss}

    def _with_controls(self, audio: Tensor, learned: Tensor) -> Tensor:
        """The learned latents with the sound's pitch and loudness before them, where the model has a source."""
        controls = self.model.controls
        return learned if controls is None else torch.cat([controls(audio), learned], 1)

    def _descend(self, optimiser: torch.optim.Adam, loss: Tensor, rate: float) -> None:
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    @torch.no_grad()
    def reconstruct(self, audio: Tensor, seed: int = 0) -> Tensor:
        """The reconstruction of `audio` `[B, C, T]` from latent means, of the same shape, with the model at rest.

        Notebook: 04.
        """
        self.model.eval()
        generator = torch.Generator(self.device).manual_seed(mixed_seed(VALIDATION_SEED, seed))
        with torch.compiler.set_stance("force_eager"):  # what is compiled is compiled for the steps
            made = self.model(audio, self.noise, generator)
        self._train_mode()
        return made

    def validate(self, batches: Iterable[Tensor]) -> dict[str, float]:
        """Distances on sound that was not trained on: "spectral" and "log_mel", averaged over the batches.

        Args:
            batches: audio `[B, C, T]` each; the result depends on them and the weights alone.
        Notebook: 04.
        """
        found = []
        for seed, audio in enumerate(batches):
            audio = audio.to(self.device)
            made = self.reconstruct(audio, seed)
            log_mel = spectra.log_mel_distance(audio, made, self.model.sample_rate)
            found.append(torch.stack([self.on_signal(audio, made), log_mel]))
        spectral, log_mel = torch.stack(found).mean(0).tolist()
        return {"spectral": spectral, "log_mel": log_mel}

    def is_finite(self) -> bool:
        """Whether every weight and statistic of model and discriminators is a number. Notebook: 04."""
        tensors = [*self.model.state_dict().values(), *self.discriminator.parameters()]
        return bool(torch.stack([t.detach().isfinite().all() for t in tensors]).all())

    def rehearse(self, audio: Tensor, tries: int = 1, compiled: bool = False) -> tuple[float, float]:
        """Do steps of each kind on a copy, so that a lack of memory shows now; nothing of this object
        changes.

        Args:
            audio: a batch of the size that training will use.
            tries: steps of each kind, of which the fastest counts.
            compiled: through `torch.compile`.
        Returns:
            seconds of a phase-one step, and of a phase-two step on average.
        Notebook: 04.
        """
        double = copy.deepcopy(self)
        if compiled:
            double.compile()

        def seconds(step: int, start: int) -> float:
            found = []
            for _ in range(tries):
                begin = time.perf_counter()
                values = double.step(audio, step, start)
                next(iter(values.values())).item()  # waits for the device
                found.append(time.perf_counter() - begin)
            return min(found)

        if double.phase == 1:
            first = seconds(0, 1)
            if "decoder" not in self.config.trained_parts:
                return first, 0.0  # there is no phase two
            double.enter_phase_two()
        else:
            first = 0.0
        discriminator, decoder = seconds(0, 0), seconds(1, 0)
        share = 1 / self.config.discriminator_every
        return first, share * discriminator + (1 - share) * decoder


def learning_rate(config: TrainingConfig, step: int, phase_two_start: int | None = None) -> float:
    """The learning rate at a step: in phase one a linear warm-up from near 0, then constant or, in each phase, a half
    cosine down to a tenth.

    The end of phase two at a low rate averages over what its steps disagree about: where it stayed constant, held-out
    sound came out farther away than before.

    Args:
        step: counted from 0 over both phases.
        phase_two_start: the first step of phase two; None, or a later one than `step`, asks for phase one's rate.
    Source: SGDR (arXiv 1608.03983), section 3, without restarts. Notebook: 04.
    """
    if phase_two_start is not None and step >= phase_two_start:
        rate, done = config.adversarial_learning_rate, (step - phase_two_start) / max(config.phase_two_steps, 1)
    else:
        rate, done = config.learning_rate, step / config.phase_one_steps
        rate *= min(1.0, (step + 1) / max(config.warmup_steps, 1))
    if config.cosine_decay:
        rate *= 0.1 + 0.9 * (0.5 + 0.5 * math.cos(math.pi * min(1.0, done)))
    return rate
