"""``kuberay submit|follow|cancel`` by the official client, on an API server that holds the CRD's schema and rules."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lakeray.adapters.kubernetes_jobs import KubernetesRayJobs
from lakeray.cli.commands import kuberay
from lakeray.cli.terminal import Output
from lakeray.ports.rayjobs import RayJobState
from lakeray.rayjob import rayjob
from lakeray.values.errors import LeaseHeldError, TryAgainError, UsageError
from tests.support.fakes.settings import settings
from tests.support.kube.api_server import ApiServer, serving

NAME = "lakeray-feed"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    for name in ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serving(tmp_path) as (found, kubeconfig):
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        yield found


@pytest.fixture
def jobs(server: ApiServer) -> KubernetesRayJobs:
    return KubernetesRayJobs("lakeray")


def manifest() -> dict[str, Any]:
    return rayjob(settings(), words=[], ray_version="2.60.0")


def waits(*happens: Callable[[], None]) -> Callable[[float], None]:
    """A sleep during which something happens, one thing each time."""
    rest = iter(happens)
    return lambda _seconds: next(rest, lambda: None)()


def nobody_waits(_seconds: float) -> None:
    raise AssertionError


def test_a_job_is_submitted_followed_to_its_end_and_cancelled(server: ApiServer, jobs: KubernetesRayJobs) -> None:
    kuberay.submit(jobs, manifest(), sleep=nobody_waits)
    assert server.jobs[NAME]["spec"] == manifest()["spec"]
    state = kuberay.follow(
        jobs,
        settings(),
        sleep=waits(
            lambda: server.say(NAME, "Initializing"),
            lambda: server.say(NAME, "Running", "RUNNING"),
            lambda: server.say(NAME, "Complete", "SUCCEEDED", "all well"),
        ),
    )
    assert state == RayJobState(deployment="Complete", job="SUCCEEDED", message="all well", uid="uid-1")
    assert (state.ended, state.succeeded) == (True, True)
    assert jobs.delete(NAME) is True and jobs.state(NAME) is not None
    assert jobs.state(NAME) is None and jobs.delete(NAME) is False
    assert "fieldValidation=Strict" in server.asked[0]


def test_one_name_is_one_job_at_a_time_and_what_has_ended_makes_room(
    server: ApiServer, jobs: KubernetesRayJobs
) -> None:
    kuberay.submit(jobs, manifest(), sleep=nobody_waits)
    with pytest.raises(LeaseHeldError) as error:
        kuberay.submit(jobs, manifest(), sleep=nobody_waits)
    assert error.value.exit_code == 3
    server.say(NAME, "Failed", "FAILED", "a stream failed")
    kuberay.submit(jobs, manifest(), sleep=waits())
    assert "status" not in server.jobs[NAME]
    asked = [line.partition(" ")[0] for line in server.asked]
    assert asked == ["POST", "POST", "GET", *(["POST", "GET", "DELETE"] * 2), "POST"]


def test_what_somebody_else_began_meanwhile_is_not_deleted(server: ApiServer, jobs: KubernetesRayJobs) -> None:
    jobs.create(manifest())
    assert jobs.delete(NAME, uid="uid-of-an-older-one") is False
    assert NAME in server.jobs and not server.going


def test_a_job_that_does_not_go_is_an_error_within_a_deadline(server: ApiServer, jobs: KubernetesRayJobs) -> None:
    kuberay.submit(jobs, manifest(), sleep=nobody_waits)
    server.say(NAME, "Complete", "SUCCEEDED")
    keep = dict(server.jobs)
    with pytest.raises(TryAgainError, match="still there"):
        kuberay.submit(jobs, manifest(), sleep=lambda _: server.jobs.update(keep))


def test_a_job_that_does_not_end_or_goes_is_an_error(server: ApiServer, jobs: KubernetesRayJobs) -> None:
    short = settings(kuberay__deadline_s=1, kuberay__start_deadline_s=1, kuberay__retries=0)
    with pytest.raises(TryAgainError, match="none, or it was deleted"):
        kuberay.follow(jobs, short, sleep=nobody_waits)
    jobs.create(manifest())
    with pytest.raises(TryAgainError, match="it goes on"):
        kuberay.follow(jobs, short, sleep=waits())
    assert len(server.asked) < 200


def test_what_the_schema_or_a_rule_refuses_is_told_with_its_place(server: ApiServer, jobs: KubernetesRayJobs) -> None:
    wrong = manifest()
    wrong["spec"]["backofLimit"] = 3
    with pytest.raises(UsageError, match="backofLimit"):
        jobs.create(wrong)
    wrong = manifest()
    del wrong["spec"]["deletionStrategy"]["deletionRules"][0]["condition"]["jobStatus"]
    with pytest.raises(UsageError, match="requires either the JobStatus"):
        jobs.create(wrong)
    assert server.jobs == {}


def test_a_cluster_that_fails_may_be_asked_again_and_one_that_refuses_may_not(
    server: ApiServer, jobs: KubernetesRayJobs
) -> None:
    server.fails = 503
    with pytest.raises(TryAgainError, match="503"):
        jobs.state(NAME)
    server.fails, server.token = 0, "another"
    with pytest.raises(UsageError, match="401") as error:
        jobs.state(NAME)
    assert "a-token-of-a-test" not in str(error.value)


def test_a_cluster_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(tmp_path) as (_, kubeconfig):
        pass
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    with pytest.raises(TryAgainError, match="expected an answer"):
        KubernetesRayJobs("lakeray").state(NAME)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nothing"))
    with pytest.raises(UsageError, match="kubeconfig"):
        KubernetesRayJobs("lakeray").state(NAME)


def test_the_command_says_what_became_of_it(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kuberay.time, "sleep", waits())
    out = Output(as_json=False)
    assert kuberay.run(settings(), ["submit", "feed.max_batches=1"], out) == 0
    assert "feed.max_batches=1" in server.jobs[NAME]["spec"]["entrypoint"]
    server.say(NAME, "Complete", "SUCCEEDED")
    assert kuberay.run(settings(), ["follow"], out) == 0
    server.say(NAME, "Failed", "FAILED", "a stream failed")
    assert kuberay.run(settings(), ["follow"], out) == 1
    assert kuberay.run(settings(), ["cancel"], out) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{NAME}: submitted",
        f"{NAME}: Complete, SUCCEEDED.",
        f"{NAME}: Failed, FAILED. a stream failed",
        f"{NAME}: cancelled",
    ]
    with pytest.raises(UsageError, match="render, submit, follow or cancel"):
        kuberay.run(settings(), ["rendr"], out)


def test_without_the_client_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lakeray.adapters.kubernetes_jobs", None)
    with pytest.raises(UsageError, match=r"lakeray\[kubernetes\]"):
        kuberay.run(settings(), ["follow"], Output(as_json=False))
