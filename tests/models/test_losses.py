import numpy as np
import pytest
import torch

from gistcast.codec.colour import clip_to_rgb
from gistcast.models import losses
from gistcast.models.discriminator import Discriminator
from gistcast.models.imitate import imitated_sketch
from gistcast.models.lpips import load_lpips
from gistcast.models.refine import packed_planes


def test_relative_error_is_a_share_of_the_scale() -> None:
    image, reference = torch.zeros(2, 3, 3, 4, 4), torch.zeros(2, 3, 3, 4, 4)
    image[1] += 3
    scale = torch.tensor([7.0, 7.0])
    assert losses.relative_error(image, reference, scale).tolist() == [0.0, 1.0]


def test_plane_error_estimates_the_rgb_error(make_clip) -> None:
    clip = make_clip()
    sketch = imitated_sketch(clip, 150)
    rgb = [clip_to_rgb(c).astype(np.float64) for c in (sketch, clip)]
    exact = float(np.mean((rgb[0] - rgb[1]) ** 2))
    estimate = losses.plane_error(packed_planes(sketch), packed_planes(clip))
    assert float(estimate) == pytest.approx(exact, rel=0.15)


def test_texture_error_prefers_strange_texture_to_a_blur() -> None:
    torch.manual_seed(0)
    real, other = (128 + 20 * torch.randn(2, 3, 16, 16, 6) for _ in range(2))
    blur = torch.full_like(real, 128.0)
    assert float(losses.texture_error(real, real).max()) == 0
    wrong, missing = losses.texture_error(other, real), losses.texture_error(blur, real)
    assert bool((wrong < missing / 4).all())
    weak = (128 + 0.3 * (other - 128)).requires_grad_()
    losses.texture_error(weak, real).sum().backward()
    assert weak.grad is not None
    assert float((weak.grad * (weak.detach() - 128)).sum()) < 0  # descent makes it stronger


def test_temporal_error_sees_motion_only() -> None:
    still = torch.rand(1, 1, 3, 8, 8).expand(1, 4, 3, 8, 8) * 255
    assert float(losses.temporal_error(still, still + 9)) == pytest.approx(0, abs=1e-4)
    flicker = still + torch.tensor([0.0, 5, 0, 5]).reshape(1, 4, 1, 1, 1)
    assert float(losses.temporal_error(flicker, still)) == pytest.approx(5, abs=1e-4)
    assert float(losses.temporal_error(still[:, :1], still[:, :1])) == 0


def test_perceptual_error_reaches_the_image() -> None:
    torch.manual_seed(0)
    real = torch.rand(2, 3, 3, 32, 32) * 255
    blurred = real.mean((3, 4), keepdim=True).expand_as(real).clone().requires_grad_()
    lpips = load_lpips("alex")
    distance = losses.perceptual_error(lpips, blurred, real, [0, 2])
    assert distance.shape == (2,)
    assert float(losses.perceptual_error(lpips, real, real, [1]).max()) < 1e-4
    distance.sum().backward()
    assert blurred.grad is not None
    assert bool((blurred.grad[:, 1] == 0).all())  # frame 1 was not looked at
    assert bool((blurred.grad[:, [0, 2]] != 0).any())


def test_the_critic_learns_text_and_reality_apart() -> None:
    torch.manual_seed(0)
    critic = Discriminator(width=4, text=4)
    optimizer = torch.optim.Adam(critic.parameters(), 1e-2)
    real = torch.full((2, 8, 8, 8, 6), 160.0)
    real[1] -= 64
    sketch = torch.full_like(real, 128.0)
    fake = real + 40 * torch.randn(real.shape)
    texts: list[str | None] = ["bright", "dark"]
    losses_seen = []
    for _ in range(30):
        on_real, on_fake = critic(real, sketch, texts), critic(fake, sketch, texts)
        wrong = critic(real, sketch, texts[::-1])[1]
        loss = losses.critic_loss(on_real, on_fake, wrong)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses_seen.append(float(loss.detach()))
    assert losses_seen[-1] < losses_seen[0] / 2
    verdict = losses.generator_loss(critic(fake, sketch, texts))
    assert bool((verdict > losses.generator_loss(critic(real, sketch, texts))).all())
