"""Principal directions of planted latents, sizes, and the alarm."""

import pytest
import torch
from torch import nn

from ravecourse.errors import RaveCourseError
from ravecourse.model import latent
from ravecourse.model.latent import LatentStatistics


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def statistics_of(means, batches=1):
    statistics = LatentStatistics(means.shape[1])
    for part in means.chunk(batches):
        statistics.add(part, torch.ones_like(part))
    return statistics


@pytest.mark.parametrize("size", [1, 2, 5, 16])
def test_directions_are_orthonormal_and_fidelity_climbs_to_one(size):
    means = noise(8, size, 50) * torch.linspace(0.1, 3, size)[:, None] + 5
    mean, directions, spread, fidelity = statistics_of(means).principal()
    assert torch.allclose(directions @ directions.T, torch.eye(size), atol=1e-5)
    assert torch.allclose(mean, means.mean(dim=(0, 2)), atol=1e-4)
    assert (fidelity.diff() >= -1e-6).all() and fidelity[-1] == 1 and fidelity[0] > 0
    rotated = directions @ (means.transpose(0, 1).flatten(1) - mean[:, None])
    covariance = rotated @ rotated.T / rotated.shape[1]
    assert torch.allclose(covariance, torch.diag(covariance.diag()), atol=1e-4)
    assert (covariance.diag().diff() <= 1e-4).all()
    assert torch.allclose(covariance.diag().sqrt(), spread, atol=1e-3)


@pytest.mark.parametrize("planted", [1, 3, 7])
def test_a_planted_subspace_is_found(planted):
    basis = torch.linalg.qr(noise(12, 12, seed=1))[0][:, :planted]
    means = torch.einsum("dk,bkf->bdf", basis, noise(10, planted, 40, seed=2)) + noise(1, 12, 1, seed=3)
    _, directions, spread, fidelity = statistics_of(means).principal()
    assert fidelity[planted - 1] > 0.9999
    assert spread[planted:].max() < 1e-3 < spread[planted - 1]
    assert planted == 1 or fidelity[planted - 2] < 0.98
    projected = directions[:planted] @ basis
    assert torch.allclose(projected @ projected.T, torch.eye(planted), atol=1e-3)


def test_batches_do_not_matter_and_agree_with_numpy():
    means = noise(6, 4, 30)
    whole, parts = statistics_of(means).principal(), statistics_of(means, batches=3).principal()
    for a, b in zip(whole, parts, strict=True):
        assert torch.allclose(a, b, atol=1e-6)
    variances = torch.linalg.eigvalsh(torch.cov(means.transpose(0, 1).flatten(1))).flip(0)
    assert torch.allclose(whole[3], variances.cumsum(0) / variances.sum(), atol=1e-4)


def test_latents_that_never_move_need_one_dimension():
    fidelity = statistics_of(torch.ones(2, 4, 10)).principal()[3]
    assert set(latent.fidelity_table(fidelity).values()) == {1}


def test_too_few_frames_are_refused():
    with pytest.raises(RaveCourseError, match="2 latent frames"):
        statistics_of(torch.ones(1, 4, 1)).principal()


def test_sizes_are_exact_at_the_edges():
    fidelity = torch.tensor([0.5, 0.8, 0.9, 0.95, 0.99, 1.0])
    assert latent.fidelity_table(fidelity) == {80: 2, 90: 3, 95: 4, 99: 5}
    assert latent.size_for(fidelity, 0.5) == 1
    assert latent.size_for(fidelity, 0.500001) == 1  # float32 rounding is forgiven
    assert latent.size_for(fidelity, 0.51) == 2
    assert latent.size_for(fidelity, 1.0) == 6
    for share in (0.0, -1.0, 1.01):
        with pytest.raises(RaveCourseError, match="between 0 and 1"):
            latent.size_for(fidelity, share)


def test_alive_dimensions_and_the_alarm():
    kl = torch.tensor([0.0, 0.005, 0.02, 1.0])
    assert latent.alive(kl) == 2
    assert latent.collapse_alarm(kl) is None
    assert "none of its 4" in latent.collapse_alarm(torch.zeros(4))
    assert "1 of 4" in latent.collapse_alarm(torch.tensor([0.0, 0.0, 0.0, 2.0]))
    assert "one direction" in latent.collapse_alarm(torch.ones(4), torch.tensor([0.995, 1.0, 1.0, 1.0]))
    assert latent.collapse_alarm(torch.ones(4), torch.tensor([0.4, 0.7, 0.9, 1.0])) is None
    assert latent.collapse_alarm(torch.tensor([1.0])) is None  # one dimension was asked for


def test_draw_std_is_that_of_drawn_latents():
    """Means along known directions plus known noise: the spread measured on real draws agrees."""
    generator = torch.Generator().manual_seed(3)
    means = torch.tensor([2.0, 0.3, 0.01])[:, None] * torch.randn(3, 200_000, generator=generator)
    stds = torch.tensor([0.1, 0.5, 1.0])[:, None].expand(3, 200_000)
    statistics = latent.LatentStatistics(3)
    statistics.add(means[None], stds[None])
    directions = statistics.principal()[1]
    drawn = means + stds * torch.randn(3, 200_000, generator=generator)
    assert torch.allclose(statistics.draw_std(), (directions @ drawn).std(1), rtol=0.01)


class Fake(nn.Module):
    """A model whose encoder would drift if it were left in training mode."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.resting = nn.Dropout(0.5).eval()
        for name, value in (
            ("latent_mean", torch.zeros(3)),
            ("latent_pca", torch.eye(3)),
            ("latent_std", torch.ones(3)),
            ("latent_draw_std", torch.ones(3)),
            ("fidelity", torch.zeros(3)),
        ):
            self.register_buffer(name, value)

    def split(self, audio):
        return audio

    def encode_learned(self, audio, bands):
        mean = self.norm(bands)
        return mean, torch.full_like(mean, 0.5)


def test_measure_leaves_the_model_as_it_was_and_store_writes():
    model = Fake().train()
    model.resting.eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    statistics = latent.gather_statistics(model, (noise(2, 3, 20, seed=s) for s in range(4)))
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert model.training and model.norm.training and not model.resting.training
    assert statistics.frames == 4 * 2 * 20
    latent.write_statistics(model, statistics)
    assert model.fidelity[-1] == 1
    assert torch.allclose(model.latent_pca @ model.latent_pca.T, torch.eye(3), atol=1e-5)
    assert torch.equal(model.latent_mean, statistics.principal()[0])
    assert torch.equal(model.latent_std, statistics.principal()[2])
    drawn = (statistics.principal()[2].square() + 0.25).sqrt()  # every draw has a standard deviation of 0.5
    assert torch.allclose(model.latent_draw_std, drawn, atol=1e-6)
    expected = 0.5 * (1 + 0.25 - 2 * torch.tensor(0.5).log() - 1)  # means of variance 1 around 0
    assert torch.allclose(statistics.kl, expected.expand(3), atol=0.15)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_latents_that_are_not_numbers_are_told(value: float) -> None:
    statistics = latent.LatentStatistics(3)
    mean = torch.zeros(1, 3, 5)
    mean[0, 1, 2] = value
    statistics.add(mean, torch.ones(1, 3, 5))
    for ask in (statistics.principal, statistics.draw_std):
        with pytest.raises(RaveCourseError, match="not finite numbers: its training has diverged"):
            ask()
