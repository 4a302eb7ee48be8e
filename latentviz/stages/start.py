"""Fit, cluster and map from nested settings: validation, folders, locks, resuming. Loads torch only to begin work."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from latentviz.config import ClusterConfig, FitConfig, MapSection, changes, merge, read_yaml, validate
from latentviz.config.presets import preset
from latentviz.errors import ConfigError, RunError, did_you_mean
from latentviz.modalities import modality
from latentviz.modalities.acting import check_networks
from latentviz.modalities.io.memory import find, named
from latentviz.modalities.loading import OpenRun
from latentviz.modalities.networks import STANDARD, Networks, check_given, check_training, recall, remember
from latentviz.modalities.sources import load_config
from latentviz.progress import may_follow, plural
from latentviz.runs.extension import LongerRun
from latentviz.runs.files import AnyPath, check_name, folder_path
from latentviz.runs.ours import is_run
from latentviz.runs.run import ClusterFolder, RunFolder

Settings = Mapping[str, Any]
DECISIVE = {"method", "min_cluster_size"}  # settings of `cluster` on which it depends whether others act
CLUSTERING = ClusterConfig.model_fields.keys() - FitConfig.model_fields.keys()  # sections that only `cluster` has


def train(
    source: str,
    overrides: Settings,
    *,
    run: str | None = None,
    outputs: AnyPath = "outputs",
    start: AnyPath | None = None,
    resume: bool = False,
    force: bool = False,
    networks: Networks = STANDARD,
    finished: bool = False,
    show: bool = False,
) -> RunFolder:
    """Does what `fit` says, with the settings as one nested mapping; `start` names the run to continue.

    With `show`, the first preview is opened in the browser. With `finished`, a finished run that is to be resumed and
    not to be trained for longer is returned as it is.
    """
    if start is not None:
        old = RunFolder.open(start, outputs)
        return _continue(
            old, source, overrides, networks, run=run, resume=resume, force=force, finished=finished, show=show
        )
    config, name = load_config(source, overrides)
    made = RunFolder(Path(source).parent)
    if Path(source).name == made.config_file.name and made.origin_file.exists() and not resume:
        raise RunError(
            f"{source}: this run continues another one, so its config alone does not make it again; `{made.made_by}` "
            "does, and another --run NAME makes another one"
        )
    check_training(config.networks, networks, source)
    check_networks(config.data.kind, overrides.get("model"), [*networks.names])
    config = config.model_copy(update={"networks": networks.names})
    check_name("--run", name if run is None else run)
    parent = folder_path("--outputs", outputs)
    check_outputs(parent)
    folder = RunFolder(parent / (run or name))
    if may_follow():
        from latentviz.stages.fit import follow

        follow(config, LongerRun.of(folder) if resume and folder.finished else folder, networks)
    if resume and not folder.begun:
        folder = RunFolder.open(folder.name, outputs)
    with folder.held("fit"):
        folder.recover()
        if resume and folder.config_file.exists():
            return _resume(folder, source, overrides, networks, finished=finished, show=show)
        # A fit that was killed while it read its data left nothing to continue from, and nothing to lose.
        folder = RunFolder.create(folder.path, force=force or (resume and folder.begun))
        from latentviz.clustering import compile_ahead
        from latentviz.stages.fit import fit as stage

        compile_ahead.start()
        folder = stage(config, folder, networks=networks, show=show)
        remember(folder, networks)
        return folder


def check_outputs(outputs: Path) -> None:
    """Raises a RunError if the folder that is to hold runs is one, or lies in one, where its files would be foreign."""
    for place in (outputs, *outputs.resolve().parents):
        if is_run(place):
            what = "this is a run" if place == outputs else f"it lies in the run {place}"
            raise RunError(f"--outputs {outputs}: {what}; give the folder that holds the runs, such as {place.parent}")


def _continue(
    start: RunFolder,
    source: str,
    overrides: Settings,
    networks: Networks,
    *,
    run: str | None,
    resume: bool,
    force: bool,
    finished: bool,
    show: bool,
) -> RunFolder:
    """Trains a new run next to the finished run `start`, on its items and those at `source`; `start` stays as it is."""
    from latentviz.stages.continuing import next_name, read, settings

    opened = OpenRun(start)
    config, given = settings(opened, source, overrides), list(overrides.get("data") or ())
    networks = recall(start) if networks == STANDARD else networks
    check_given(config.networks, networks, start)
    check_training(config.networks, networks, str(start.config_file))
    folder = RunFolder(start.path.parent / (run or next_name(start, resume=resume)))
    check_name("--run", folder.name if run is None else run)
    if folder.path.resolve() == start.path.resolve():
        raise RunError(f"--run {run}: this is the run that is continued, and it stays; choose another --run NAME")
    from latentviz.stages.fit import fit as stage
    from latentviz.stages.fit import follow

    if may_follow():
        follow(config, folder, networks)
    with folder.held("fit"):
        folder.recover()
        if resume and folder.config_file.exists():
            return _resume(folder, source, overrides, networks, finished=finished, show=show)
        start.verify(all_of_it=True)
        folder = RunFolder.create(folder.path, force=force or folder.begun)
        from latentviz.clustering import compile_ahead

        compile_ahead.start()
        remember(folder, networks)
        return stage(
            config,
            folder,
            networks=networks,
            read=lambda cache: (read(opened, source, config, cache, given), config),
            show=show,
        )


def read_fingerprint(folder: RunFolder) -> str:
    """Reads the fingerprint of the items that a run, finished or not, began with."""
    return (folder.cache / "fingerprint.txt").read_text(encoding="utf-8").strip()


def _check_same(folder: RunFolder, given: str) -> None:
    """Raises a RunError if an object that was given along with --resume has other items than the run began with."""
    if find(given) is None or folder.origin_file.exists():
        return
    began = load_config(str(folder.config_file), {})[0]
    config = began.model_copy(update={"data": began.data.model_copy(update={"path": given})})
    with TemporaryDirectory(prefix="latentviz-") as cache:
        found = modality(config.data.kind).data_kind.prepare(config, Path(cache)).fingerprint
    if found != read_fingerprint(folder):
        raise RunError(
            f"{folder.path}: --resume goes on with the items that the run began with, and {named(given)} has "
            "other items, ids or labels; give the same ones, or make another run with --run NAME and without --resume"
        )


def _resume(
    folder: RunFolder, given: str, overrides: Settings, networks: Networks, *, finished: bool, show: bool
) -> RunFolder:
    """Continues an interrupted run, or trains a finished one for longer; `finished` and `show` as in `train`."""
    _check_same(folder, given)
    longer = LongerRun.of(folder) if folder.finished else None
    if longer is not None and longer.pending and longer.finished:  # a kill kept it from taking the run's place
        longer.finish()
        if _limits(overrides).get("max_epochs") in {None, folder.info()["summary"]["epochs"]}:
            return folder
    pending = longer is not None and longer.pending
    source = longer.config_file if longer is not None and pending else folder.config_file
    limits: Settings = {}
    if _limits(overrides):  # the training is as long as these say
        limits = {"trainer": {"max_epochs": None, "min_epochs": None, "max_steps": -1}, "model": {"stop": "limit"}}
    config, _ = load_config(str(source), merge(merge(read_yaml(source), limits), overrides))
    began, _ = load_config(str(folder.config_file), {})
    check_given(began.networks, networks, folder)
    check_training(began.networks, networks, str(folder.config_file))
    remember(folder, networks)
    free = {"check_memory", "preview"} | ({"model.stop"} if config.model.stop == "limit" else set())
    if changed := [key for key in changes(began, config) if not key.startswith("trainer.") and key not in free]:
        raise RunError(
            f"{folder.path}: --resume cannot change {', '.join(changed)}; leave that out, or make another run with "
            "--run NAME and without --resume"
        )
    from latentviz.stages.fit import fit as stage

    if longer is None:
        folder.sweep()
        return stage(config, folder, resume=True, networks=networks, show=show)
    if finished and not pending and not _limits(overrides):
        return folder
    check_longer(folder, config, given=pending or bool(_limits(overrides)))
    folder.verify(all_of_it=True)
    longer.begin(config)
    longer.sweep()
    stage(config, longer, resume=True, networks=networks)
    return longer.finish()


def _limits(overrides: Settings) -> dict[str, int | None]:
    """Returns the settings among `overrides` that say how long to train."""
    trainer = overrides.get("trainer")
    return {k: trainer[k] for k in ("max_epochs", "max_steps") if isinstance(trainer, Mapping) and k in trainer}


def check_longer(run: RunFolder, config: FitConfig, *, given: bool) -> None:
    """Raises a RunError if a finished run is not to be trained for longer."""
    epochs, again = run.info()["summary"]["epochs"], f"`{run.fit_command(run.config_file)} --resume"
    most, steps = config.trainer.get("max_epochs"), config.trainer.get("max_steps", -1)
    if not given:
        raise RunError(
            f"{run.path}: this run has finished its {plural(epochs, 'epoch')}; "
            f"to train on, {again} trainer.max_epochs={2 * epochs}`"
        )
    if steps in {None, -1} and most not in {None, -1} and most <= epochs:
        raise RunError(
            f"trainer.max_epochs: {run.path} has {plural(epochs, 'epoch')} already (got {most}); "
            f"give more, as in {again} trainer.max_epochs={2 * epochs}`"
        )


def introduce(run: RunFolder, networks: Networks) -> None:
    """Loads the model of a run with the networks that it was trained with, which all commands then know.

    Raises:
        LatentvizError: they are others than those.
    """
    from latentviz.modalities.loading import load_model

    load_model(run, networks)
    remember(run, networks)


def parted(overrides: Settings, *, wanted: bool) -> tuple[Settings, Settings | None]:
    """Parts the settings of `fit` from those of `cluster`; what both have, such as the seed, is in both.

    Args:
        overrides: settings of either.
        wanted: whether there are to be settings of `cluster` also where no section of it is given; else None.

    Raises:
        ConfigError: a section is probably one of `cluster`, its settings have mistakes, or there is no such preset.
    """
    preset(overrides.get("preset", "default"))
    fitting = {key: value for key, value in overrides.items() if key not in CLUSTERING}
    clustering = {key: value for key, value in overrides.items() if key in ClusterConfig.model_fields}
    known = [*FitConfig.model_fields, *sorted(CLUSTERING)]
    for key in fitting:
        hint = "" if key in known else did_you_mean(key, known)
        if any(repr(name) in hint for name in CLUSTERING):
            raise ConfigError(f"{key}: unknown key; allowed here: {', '.join(known)}.{hint}")
    validate(ClusterConfig, clustering, "cluster settings")
    return fitting, clustering if wanted or CLUSTERING & overrides.keys() else None


def train_and_cluster(
    source: str,
    overrides: Settings,
    clustering: Settings | None,
    *,
    resume: bool = False,
    force: bool = False,
    start: AnyPath | None = None,
    **options: Any,
) -> RunFolder:
    """Does what `fit --cluster` says: `train`, then, unless `clustering` is None, `make_clustering` with that.

    With `resume`, what is finished already is not made again.
    """
    if clustering is None:
        return train(source, overrides, resume=resume, force=force, start=start, **options)
    if start is None and not resume:  # else an earlier clustering decides, too
        from latentviz.clustering.acting import check_acting

        check_acting(validate(ClusterConfig, clustering, "cluster settings"))
    run = train(source, overrides, resume=resume, force=force, start=start, finished=True, **options)
    folder = run.clustering()
    if not folder.finished or force or folder.outdated:
        try:
            make_clustering(run, clustering, force=True)
        except ConfigError as error:
            command = shlex.join(["latentviz", "cluster", str(run.path)])
            raise ConfigError(
                f"{error}; the training is done and the run is kept: `{command}` clusters it, with other settings"
            ) from None
    elif CLUSTERING & clustering.keys():
        other = shlex.join(["latentviz", "cluster", str(run.path), "--name", "NAME"])
        raise RunError(f"{folder.path}: this clustering exists already; replace it with --force, or `{other}`")
    return run


def make_clustering(
    folder: RunFolder, overrides: Settings, *, name: str = "default", force: bool = False
) -> ClusterFolder:
    """Does what `cluster` says, with the settings as one nested mapping."""
    check_name("--name", name)
    from latentviz.clustering.acting import check_acting
    from latentviz.stages.earlier import inherited

    settings = merge(preset(overrides.get("preset", "default")).cluster, overrides)
    config = validate(ClusterConfig, inherited(folder, name, settings), "cluster settings")
    # What the user gave must act; what an earlier clustering had need not.
    kept: Settings = {
        "reduce": {"method": config.reduce.method},
        "cluster": config.cluster.model_dump(include=DECISIVE),
    }
    check_acting(validate(ClusterConfig, merge(kept, overrides), "cluster settings"))
    from latentviz.stages.cluster import make_clustering as stage

    with folder.clustering(name).held("cluster"):
        return stage(folder, config, name=name, force=force)


def draw_map(run: RunFolder, overrides: Settings, *, clustering: str) -> ClusterFolder:
    """Does what `map` says, with the settings as one mapping, either bare or under `map`."""
    folder = run.clustered(clustering)
    given = {**overrides.get("map", {}), **{key: value for key, value in overrides.items() if key != "map"}}
    config = validate(MapSection, merge(folder.config().map.model_dump(), given), "map settings")
    from latentviz.stages.map import redraw

    with folder.held("map"):
        redraw(folder, config)
    return folder
