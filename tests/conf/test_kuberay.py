"""kuberay/: a cluster with KubeRay takes each overlay, each figure follows from a setting, and faults show."""

from __future__ import annotations

import copy
import functools
import os
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from lakeray.cli.commands.kuberay import as_yaml, rendered
from lakeray.cli.compose import settings_of
from lakeray.cli.main import main
from lakeray.cli.parse import parse
from lakeray.rayjob import MIB, WORDS, container_bytes, rayjob, task_bytes
from lakeray.settings.values import Settings
from lakeray.values.errors import UsageError
from tests.support.fakes.settings import settings as plain_settings
from tests.support.kube.manifests import built, of_one, problems, submitted
from tests.support.kube.operator import operator_problems
from tests.support.kube.schema import rule_problems, schema_problems
from tests.support.real.lake import PROJECT

OVERLAYS = sorted(path.name for path in (PROJECT / "kuberay/overlays").iterdir())
Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def overlays() -> dict[str, list[Manifest]]:
    return {name: built(f"overlays/{name}") for name in OVERLAYS}


@functools.cache
def of_words(*words: str) -> Settings:
    """Settings of one stream, which take a tenth of the time of all of them."""
    return settings_of(parse(["kuberay", "render", "+stream=shopify/orders", *words]))


def render(*words: str) -> Manifest:
    return rendered(of_words(*words), words)


def only(manifests: list[Manifest], kind: str) -> Manifest:
    (found,) = (item for item in manifests if item["kind"] == kind)
    return found


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_kustomize_makes_of_an_overlay_is_taken_as_it_is(
    overlay: str, overlays: dict[str, list[Manifest]]
) -> None:
    assert len(overlays[overlay]) >= 3
    assert problems(overlays[overlay]) == []
    assert {item["metadata"]["namespace"] for item in overlays[overlay]} == {"lakeray"}


def words_of(manifest: Manifest) -> str:
    return str(manifest["metadata"]["annotations"][WORDS])


def spec_of(manifest: Manifest) -> Manifest:
    spec: Manifest = manifest["spec"]
    return spec


def worker(manifest: Manifest) -> Manifest:
    (group,) = manifest["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    return dict(group)


def container(manifest: Manifest) -> Manifest:
    (one,) = manifest["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["template"]["spec"]["containers"]
    return dict(one)


def misspell(job: Manifest) -> None:
    job["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParam"] = {}


def mistype(job: Manifest) -> None:
    job["spec"]["backoffLimit"] = "2"


def choose_what_is_not_there(job: Manifest) -> None:
    job["spec"]["rayClusterSpec"]["autoscalerOptions"]["version"] = "v3"


def break_a_rule(job: Manifest) -> None:
    job["spec"]["deletionStrategy"]["deletionRules"][0]["condition"]["jobDeploymentStatus"] = "Failed"


def leave_out(job: Manifest) -> None:
    del job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["template"]


def name_too_long(job: Manifest) -> None:
    job["metadata"]["name"] = "lakeray-" + "x" * 40


def ask_for_what_excludes_each_other(job: Manifest) -> None:
    job["spec"]["shutdownAfterJobFinishes"] = True


def name_another_secret(job: Manifest) -> None:
    job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["volumes"][0]["secret"]["secretName"] = (
        "lakeray2"
    )


def give_less_memory(job: Manifest) -> None:
    job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["template"]["spec"]["containers"][0]["resources"]["limits"][
        "memory"
    ] = "4096Mi"


def take_an_old_version(job: Manifest) -> None:
    job["apiVersion"] = "ray.io/v1beta1"


FAULTS: dict[str, tuple[Callable[[Manifest], None], str]] = {
    "typo": (misspell, "schema: .*headGroupSpec.*rayStartParam"),
    "type": (mistype, "schema: spec.backoffLimit"),
    "enum": (choose_what_is_not_there, "schema: .*autoscalerOptions.version"),
    "CEL": (break_a_rule, "CEL: .*deletionRules.0.*cannot be used together"),
    "missing": (leave_out, "schema: .*workerGroupSpecs.*'template' is a required property"),
    "name length": (name_too_long, "operator: the name has 48 characters"),
    "exclusive pair": (ask_for_what_excludes_each_other, "operator: deletionRules exclude shutdownAfterJobFinishes"),
    "secret name": (name_another_secret, "reference: no Secret lakeray2"),
    "a figure off its setting": (give_less_memory, "figure: .*limits.memory: '4096Mi'"),
    "wrong apiVersion": (take_an_old_version, "schema: apiVersion"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str, overlays: dict[str, list[Manifest]]) -> None:
    plant, told = FAULTS[fault]
    manifests = copy.deepcopy(overlays["dev"])
    plant(only(manifests, "RayJob"))
    found = problems(manifests)
    assert any(re.search(told, text) for text in found), found


def core(kind: str, change: Callable[[Manifest], None]) -> Callable[[list[Manifest]], None]:
    return lambda manifests: change(only(manifests, kind))


CORE_FAULTS: dict[str, tuple[Callable[[list[Manifest]], None], str]] = {
    "typo": (
        core("CronJob", lambda job: job["spec"].update(concurrencyPolcy="Forbid")),
        "core: CronJob.*concurrencyPolcy",
    ),
    "type": (core("CronJob", lambda job: job["spec"].update(startingDeadlineSeconds="600")), "core: CronJob.*'600'"),
    "missing": (core("CronJob", lambda job: job["spec"].pop("schedule")), "core: CronJob.*schedule"),
    "apiVersion": (core("CronJob", lambda job: job.update(apiVersion="batch/v1beta1")), "core: CronJob"),
    "account": (
        core(
            "CronJob", lambda job: job["spec"]["jobTemplate"]["spec"]["template"]["spec"].update(serviceAccountName="x")
        ),
        "reference: no ServiceAccount x",
    ),
}


@pytest.mark.parametrize("fault", CORE_FAULTS)
def test_a_planted_fault_of_a_core_kind_is_found(fault: str, overlays: dict[str, list[Manifest]]) -> None:
    plant, told = CORE_FAULTS[fault]
    manifests = copy.deepcopy(overlays["prod"])
    plant(manifests)
    found = problems(manifests)
    assert any(re.search(told, text, re.DOTALL) for text in found), found


def test_a_field_of_the_catalog_that_we_do_not_know_is_told(overlays: dict[str, list[Manifest]]) -> None:
    cluster = copy.deepcopy(only(overlays["dev"], "Cluster"))
    cluster["spec"]["instance"] = 3
    assert of_one(cluster) == ["CNPG: spec.instance is not known"]


def test_a_rule_about_a_change_holds_for_a_change() -> None:
    before, after = render(), render()
    before["spec"]["managedBy"], after["spec"]["managedBy"] = "ray.io/kuberay-operator", "kueue.x-k8s.io/multikueue"
    assert rule_problems(after) == []
    assert rule_problems(after, before=before) == ["CEL: spec.managedBy: the managedBy field is immutable"]
    after["spec"]["managedBy"] = "somebody"
    assert "must be either" in rule_problems(after)[0]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_budget_is_that_of_its_job(overlay: str, overlays: dict[str, list[Manifest]]) -> None:
    manifests = overlays[overlay]
    jobs = [item for item in manifests if item["kind"] == "RayJob"]
    (job,) = jobs or [found for item in manifests for found in submitted(item)]
    for part, least in (("head", 1), ("worker", worker(job)["maxReplicas"])):
        (budget,) = (
            item["spec"]
            for item in manifests
            if item["kind"] == "PodDisruptionBudget" and item["spec"]["selector"]["matchLabels"]["lakeray-part"] == part
        )
        wanted = {"lakeray-job": job["metadata"]["labels"]["lakeray-job"], "lakeray-part": part}
        assert budget == {"minAvailable": least, "selector": {"matchLabels": wanted}}


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_the_places_are_all_that_production_reads_and_hold_no_secret(
    overlay: str, overlays: dict[str, list[Manifest]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(os.environ):
        if name.startswith(("S3_", "DUCKLAKE_", "AWS_", "PG")):
            monkeypatch.delenv(name)
    data = only(overlays[overlay], "ConfigMap")["data"]
    for name, value in data.items():
        monkeypatch.setenv(name, value)
    made = settings_of(parse(["feed", "shopify/orders", "env=prod"]))
    assert (made.storage.url, made.storage.region) == (data["S3_RAW_URL"], data["AWS_REGION"])
    assert made.storage.endpoint_url == data.get("S3_ENDPOINT")
    assert made.lake.data_path == data["DUCKLAKE_DATA_PATH"]
    assert f"host={data['DUCKLAKE_DB_HOST']} " in made.lake.catalog.reveal()
    read = {
        name
        for path in (PROJECT / "conf").rglob("*.yaml")
        for name in re.findall(r"[A-Z][A-Z0-9]+_[A-Z0-9_]+", path.read_text())
    }
    assert set(data) <= read
    assert not [name for name in data if re.search("PASSWORD|SECRET|TOKEN|KEY", name)]


def test_who_submits_may_do_so_and_nothing_else(overlays: dict[str, list[Manifest]]) -> None:
    (job,) = submitted(only(overlays["prod"], "CronJob"))
    assert only(overlays["prod"], "Role")["rules"] == [
        {"apiGroups": ["ray.io"], "resources": ["rayjobs"], "verbs": ["create"]},
        {
            "apiGroups": ["ray.io"],
            "resources": ["rayjobs"],
            "resourceNames": [job["metadata"]["name"]],
            "verbs": ["get", "delete"],
        },
    ]
    cron = only(overlays["prod"], "CronJob")["spec"]
    assert (cron["concurrencyPolicy"], cron["jobTemplate"]["spec"]["backoffLimit"]) == ("Forbid", 0)
    (follow,) = cron["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert follow["args"] == ["kuberay", "follow"]
    assert container(job)["image"] == follow["image"], "the image that submits is the one that runs"


SIZES = [
    ("batch.memory_bytes=1GiB", "kuberay.cpus=1"),
    ("batch.memory_bytes=16GiB", "kuberay.cpus=8", "batch.max_files=100"),
    ("batch.reserved_bytes=900MB",),
]


@pytest.mark.parametrize("words", SIZES)
def test_the_size_of_a_pod_follows_from_the_settings(words: tuple[str, ...]) -> None:
    made, job = of_words(*words), render(*words)
    for pod in (job["spec"]["rayClusterSpec"]["headGroupSpec"], worker(job)):
        (one,) = pod["template"]["spec"]["containers"]
        given = int(one["resources"]["limits"]["memory"].removesuffix("Mi")) * MIB
        assert one["resources"]["requests"] == one["resources"]["limits"]
        store = int(pod["rayStartParams"]["object-store-memory"])
        rest = given - made.batch.memory_bytes - made.batch.reserved_bytes - task_bytes(made) - store
        assert 2 * 2**30 <= rest < 2 * 2**30 + MIB, "two GiB for Ray itself, and up to a MiB of rounding"
    assert (
        worker(job)["rayStartParams"]["num-cpus"]
        == str(made.kuberay.cpus)
        == container(job)["resources"]["limits"]["cpu"]
    )
    assert int(worker(job)["rayStartParams"]["memory"]) == task_bytes(made)


def test_the_largest_batch_that_there_may_be_finds_a_worker() -> None:
    """Ray places a validation by its memory: one that is larger than every worker would wait for ever."""
    from lakeray.steps.plan import VALIDATION_RESERVED_BYTES
    from lakeray.values.memory import validation_bytes

    for cpus, files in ((1, 1), (1, 2_500), (4, 100_000)):
        made = of_words(f"kuberay.cpus={cpus}", f"batch.max_files={files}")
        assert task_bytes(made) >= cpus * validation_bytes(files, reserved_bytes=VALIDATION_RESERVED_BYTES)
        assert container_bytes(made) % MIB == 0


FIGURES = {
    "kuberay.name=other": lambda job: job["metadata"]["name"] == job["metadata"]["labels"]["lakeray-job"] == "other",
    "kuberay.namespace=other": lambda job: job["metadata"]["namespace"] == "other",
    "kuberay.image=x:1": lambda job: container(job)["image"] == "x:1",
    "kuberay.min_workers=1": lambda job: (worker(job)["minReplicas"], worker(job)["replicas"]) == (1, 1),
    "kuberay.max_workers=7": lambda job: worker(job)["maxReplicas"] == 7,
    "kuberay.retries=0": lambda job: spec_of(job)["backoffLimit"] == 0,
    "kuberay.deadline_s=60": lambda job: spec_of(job)["activeDeadlineSeconds"] == 60,
    "kuberay.start_deadline_s=61": lambda job: spec_of(job)["preRunningDeadlineSeconds"] == 61,
    "kuberay.keep_s=62": lambda job: "'ttlSeconds': 62" in str(spec_of(job)["deletionStrategy"]),
    "kuberay.keep_failed_s=9999": lambda job: "'ttlSeconds': 9999" in str(spec_of(job)["deletionStrategy"]),
    "kuberay.service_account=x": lambda job: "'serviceAccountName': 'x'" in str(job),
    "kuberay.config_map=x": lambda job: container(job)["envFrom"] == [{"configMapRef": {"name": "x"}}],
    "kuberay.secret_name=x": lambda job: "'secretName': 'x'" in str(job) and "'secretName': 'lakeray'" not in str(job),
    "kuberay.from_files=[A]": lambda job: "A_FILE" in str(job) and "S3_" not in str(job),
    "lake.lease_timeout_s=100": lambda job: "lake.lease_wait_s=115 " in spec_of(job)["entrypoint"],
    "kuberay.queue=big": lambda job: job["metadata"]["labels"].get("kueue.x-k8s.io/queue-name") == "big",
}


@pytest.mark.parametrize("word", FIGURES)
def test_each_setting_is_in_the_manifest_and_a_cluster_takes_it(word: str) -> None:
    job = render(word)
    assert FIGURES[word](job) and not FIGURES[word](render())
    assert schema_problems(job) + rule_problems(job) + operator_problems(job) == []


def test_a_job_in_a_queue_waits_suspended_and_asks_for_all_at_once() -> None:
    job = render("kuberay.queue=big", "kuberay.max_workers=5")
    assert (job["spec"]["suspend"], job["spec"]["shutdownAfterJobFinishes"]) == (True, True)
    assert job["spec"]["ttlSecondsAfterFinished"] == 86_400 and "deletionStrategy" not in job["spec"]
    assert job["spec"]["rayClusterSpec"]["enableInTreeAutoscaling"] is False
    assert (worker(job)["replicas"], worker(job)["minReplicas"]) == (5, 5)


def test_the_command_is_the_settings_own_and_a_replay_where_days_are_named() -> None:
    words = ("+stream=[shopify/orders,klaviyo/*]", "kuberay.cpus=1")
    assert rendered(of_words("kuberay.cpus=1"), words)["spec"]["entrypoint"] == (
        "lakeray feed env=prod ray=cluster output=json paths.root=/var/lib/lakeray lake.lease_wait_s=75 "
        "'+stream=[shopify/orders,klaviyo/*]'"
    )
    words = ("replay.from=2026-01-01", "replay.to=2026-01-31", "lake.lease_wait_s=200", "ray=local")
    assert render(*words)["spec"]["entrypoint"] == (
        "lakeray replay env=prod output=json paths.root=/var/lib/lakeray " + " ".join(words)
    )


def test_the_manifest_comes_on_stdout_and_reads_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["shopify/orders", "kuberay.max_workers=3"]
    assert main(["kuberay", "render", *words]) == 0
    shown = capsys.readouterr().out
    made = of_words("kuberay.max_workers=3")
    assert yaml.safe_load(shown) == rendered(made, ("+stream=shopify/orders", "kuberay.max_workers=3"))
    assert "&id" not in shown and as_yaml(yaml.safe_load(shown)) == shown


REFUSED = [
    (["lake.password=hunter2"], "lake.password"),
    (["storage.secret_access_key=x"], "storage.secret_access_key"),
    (["lake.catalog=postgres:host=x password=y"], "lake.catalog"),
    (["kuberay.min_workers=3"], "kuberay.min_workers"),
    (["kuberay.name=" + "x" * 48], "kuberay.name"),
    (["kuberay.name=Feed_1"], "kuberay.name"),
    (["lake.lease_wait_s=10"], "lake.lease_wait_s"),
]


@pytest.mark.parametrize(("words", "about"), REFUSED)
def test_what_a_cluster_could_not_run_well_is_refused_by_name(words: list[str], about: str) -> None:
    made = of_words(*(word for word in words if word.startswith(("kuberay.", "lake.lease"))))
    with pytest.raises(UsageError) as error:
        rayjob(made, words=words, ray_version="2.60.0")
    assert error.value.about == about
    assert "hunter2" not in str(error.value)


def test_without_a_retry_the_lease_need_not_be_waited_for() -> None:
    assert "lake.lease_wait_s=10" in render("lake.lease_wait_s=10", "kuberay.retries=0")["spec"]["entrypoint"]


def test_the_ray_of_a_job_is_the_one_that_is_locked() -> None:
    (locked,) = re.findall(r"^ray==(\S+) ", (PROJECT / "requirements.lock").read_text(), re.MULTILINE)
    assert render()["spec"]["rayClusterSpec"]["rayVersion"] == locked


def test_a_job_is_made_of_values_alone() -> None:
    job = rayjob(plain_settings(), words=[], ray_version="2.60.0")
    assert yaml.safe_load(as_yaml(job)) == job
