"""The watcher of a node: what it hears of the two metadata services; what it drains, when and with which deadline."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

import metadata
from lms_ray.cluster import spot
from lms_ray.cluster.spot import AWS, Google, Notice
from metadata import EC2, ComputeEngine, Service

EVERY = 0.05  # seconds


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(spot, "LOOK_EVERY", 1.0)  # how long Google's answer is waited for; whole seconds
    monkeypatch.setattr(spot, "ANSWER_WITHIN", 0.4)


@pytest.fixture
def ec2() -> Iterator[Service]:
    with metadata.serving(EC2) as service:
        yield service


@pytest.fixture
def engine() -> Iterator[Service]:
    with metadata.serving(ComputeEngine) as service:
        yield service


@dataclass
class Raylet:
    """Of no process; it ends when the test says so."""

    node_id: str = "4711"
    is_alive: bool = True


@dataclass
class Watched:
    """A watcher at work on a thread."""

    drains: list[tuple[float, Notice]] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)
    """What the next drains end in."""

    def drain(self, notice: Notice) -> None:
        self.drains.append((time.time(), notice))
        if self.faults:
            raise self.faults.pop()

    def until(self, condition: Callable[[], object], seconds: float = 5) -> None:
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, "waited in vain"
            time.sleep(0.01)


@contextmanager
def watching(*urls: str) -> Iterator[Watched]:
    """A watcher that may be on either cloud; in the end its raylet ends, and so must it."""
    watched, raylet = Watched(), Raylet()
    clouds = [cloud(url) for url in urls for cloud in (AWS, Google)]
    thread = threading.Thread(target=spot.watch, args=(raylet, clouds, watched.drain, EVERY), daemon=True)
    thread.start()
    try:
        yield watched
    finally:
        raylet.is_alive = False
        thread.join(timeout=5)
        assert not thread.is_alive(), "it ends with its raylet"


def test_a_spot_instance_of_aws_is_drained_by_the_time_that_the_notice_says(ec2: EC2):
    with watching(ec2.url) as watched:
        watched.until(lambda: len([path for path in ec2.asked if "instance-action" in path]) > 2)
        assert not watched.drains
        ec2.take(120)
        watched.until(lambda: watched.drains)
        time.sleep(4 * EVERY)
    ((at, notice),) = watched.drains
    assert notice.reason == "EC2 spot: terminate"
    assert notice.ends - at == pytest.approx(120, abs=2)
    assert [path for path in ec2.asked if "token" in path] == ["PUT /latest/api/token"], "one token is asked for"
    assert not [path for path in ec2.asked if "computeMetadata" in path]


@pytest.mark.parametrize("action", ["stop", "hibernate"])
def test_other_actions_end_the_node_as_well(ec2: EC2, action: str):
    ec2.take(0, action)
    with watching(ec2.url) as watched:
        watched.until(lambda: watched.drains)
    assert watched.drains[0][1].reason == f"EC2 spot: {action}"


def test_a_higher_risk_is_logged_once_and_drains_nothing(ec2: EC2, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO", "spot")
    ec2.said["events/recommendations/rebalance"] = '{"noticeTime": "2026-11-28T05:00:00Z"}'
    with watching(ec2.url) as watched:
        watched.until(lambda: len([path for path in ec2.asked if "rebalance" in path]) > 3)
    assert caplog.text.count("higher risk of interruption") == 1
    assert not watched.drains


def test_a_token_is_renewed_before_it_ends_and_after_it_was_refused(ec2: EC2, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(spot, "TOKEN_SECONDS", 1)
    with watching(ec2.url) as watched:
        watched.until(lambda: len(ec2.tokens) >= 3)
        ec2.tokens = {**dict.fromkeys(ec2.tokens, 0.0)}  # the service has forgotten them
        ec2.take(120)
        watched.until(lambda: watched.drains)
    assert len(ec2.tokens) >= 4


def test_google_says_at_once_that_a_machine_is_preempted(engine: ComputeEngine):
    with watching(engine.url) as watched:
        watched.until(lambda: [path for path in engine.asked if "wait_for_change=true" in path][1:])
        said = time.time()
        engine.say("preempted", "TRUE")
        watched.until(lambda: watched.drains)
    ((at, notice),) = watched.drains
    assert at - said < 0.9, "it was waited for: the service is asked once in a second"
    assert notice.reason == "Compute Engine: preempted"
    assert notice.ends - at == pytest.approx(30, abs=1)


def test_a_machine_that_was_preempted_before_the_first_question(engine: ComputeEngine):
    engine.say("preempted", "TRUE")
    with watching(engine.url) as watched:
        watched.until(lambda: watched.drains)


@pytest.mark.parametrize(
    ("event", "drains"), [("TERMINATE_ON_HOST_MAINTENANCE", 1), ("MIGRATE_ON_HOST_MAINTENANCE", 0)]
)
def test_maintenance_drains_a_node_that_does_not_survive_it(engine: ComputeEngine, event: str, drains: int):
    engine.say("maintenance-event", event)
    with watching(engine.url) as watched:
        watched.until(lambda: len([path for path in engine.asked if "maintenance" in path]) > 1 or watched.drains)
    assert [notice.reason for _, notice in watched.drains] == ["Compute Engine: host maintenance"] * drains


def test_it_finds_out_which_cloud_it_is_however_late_that_answers(ec2: EC2, engine: ComputeEngine):
    engine.fault = "error"
    with watching(engine.url) as watched:
        watched.until(lambda: len(engine.asked) > 4)
        engine.fault = ""
        engine.say("preempted", "TRUE")
        watched.until(lambda: watched.drains)


@pytest.mark.parametrize("fault", ["error", "garbage", "hangs", "slow"])
@pytest.mark.parametrize("kind", [EC2, ComputeEngine])
def test_no_fault_of_the_service_ends_the_watcher(kind: type[Service], fault: str, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO", "spot")
    with metadata.serving(kind) as service, watching(service.url) as watched:
        watched.until(lambda: "waiting for its notice" in caplog.text)
        service.fault = fault
        asked = len(service.asked)
        watched.until(lambda: len(service.asked) > asked + 2)
        assert not watched.drains
        service.fault = ""
        service.take(120) if isinstance(service, EC2) else service.say("preempted", "TRUE")
        watched.until(lambda: watched.drains)
    assert caplog.text.count("asking again") <= 3, "the same error is said once"


@pytest.mark.parametrize(
    "said", ["", "{}", '{"action": "terminate"}', '{"action": "terminate", "time": "soon"}', "[1]"]
)
def test_a_notice_that_cannot_be_read_drains_nothing_and_is_asked_for_again(ec2: EC2, said: str):
    ec2.said["spot/instance-action"] = said
    with watching(ec2.url) as watched:
        watched.until(lambda: len([path for path in ec2.asked if "instance-action" in path]) > 2)
        assert not watched.drains
        ec2.take(120)
        watched.until(lambda: watched.drains)


def test_a_drain_that_fails_is_tried_again(ec2: EC2, caplog: pytest.LogCaptureFixture):
    ec2.take(120)
    with watching(ec2.url) as watched:
        watched.faults = [RuntimeError("Ray does not answer")] * 2
        watched.until(lambda: len(watched.drains) == 3)
        time.sleep(4 * EVERY)
    assert len(watched.drains) == 3
    assert "Ray does not answer" in caplog.text


def test_a_machine_of_neither_cloud_is_said_once(caplog: pytest.LogCaptureFixture):
    with watching("http://127.0.0.1:9") as watched:
        time.sleep(10 * EVERY)
    assert not watched.drains
    assert caplog.text.count("no metadata service answers") == 1


def test_a_proxy_is_not_asked(ec2: EC2, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert AWS(ec2.url).is_here()


def test_without_a_raylet_it_says_what_it_wants():
    with pytest.raises(
        LookupError, match=r"no raylet of node 4711 runs here after 0 s; accepted is a node of `ray start`"
    ):
        spot.find("4711", within=0)
