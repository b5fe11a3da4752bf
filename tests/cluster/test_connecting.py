"""A cluster that does not answer is said in one line and in little time."""

import socket
from collections.abc import Iterator

import pytest

from lms_ray.cluster import connecting
from lms_ray.settings.errors import ConfigError
from lms_ray.settings.resources import Cluster


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield "{}:{}".format(*server.getsockname())


@pytest.fixture
def closed() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return "{}:{}".format(*server.getsockname())


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch, silent: str):
    monkeypatch.setattr(connecting, "ANSWER_WITHIN", 1.0)
    with (
        pytest.raises(
            ConfigError, match=rf"^cluster\.address: found '{silent}', where no Ray answers \(no answer within"
        ),
        connecting.connect(Cluster(address=silent)),
    ):
        pass


@pytest.mark.parametrize("address", ["ray://127.0.0.1:x", "ray://127.0.0.1", "127.0.0.1:x", "no address at all"])
def test_no_address(address: str):
    with (
        pytest.raises(ConfigError, match=r"^cluster\.address: found '.*accepted are host:port"),
        connecting.connect(Cluster(address=address)),
    ):
        pass


def test_the_address_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, closed: str):
    monkeypatch.setenv("RAY_ADDRESS", f"ray://{closed}")
    with pytest.raises(ConfigError, match=f"found 'ray://{closed}'"), connecting.connect(Cluster()):
        pass
