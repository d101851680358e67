"""The two choices between exact and fast."""

from tensorgrad.backend.cuda import settings as cuda_settings


def test_what_is_exact_is_what_there_is_at_first(monkeypatch):
    assert not cuda_settings.get_tf32()
    assert cuda_settings.get_deterministic()
    monkeypatch.setattr(cuda_settings, "_settings", cuda_settings._Settings())
    cuda_settings.set_tf32(True)
    cuda_settings.set_deterministic(False)
    assert cuda_settings.get_tf32()
    assert not cuda_settings.get_deterministic()
