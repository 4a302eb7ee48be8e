"""Runs on the Hugging Face hub: `hf:NAME` is a run there, kept in the folder of the runs once it is downloaded."""

import logging
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from latentviz.errors import RunError, WriteError, message_of
from latentviz.progress import say
from latentviz.runs.files import check_name, remove, temporary_name
from latentviz.runs.ours import check_links, foreign, is_ours, is_run, shared_files

SCHEME = "hf:"


def fetch(address: str, outputs: Path) -> Path:
    """Downloads the run `hf:NAME` to `outputs/`, unless it is there already, and returns its folder.

    Files that latentviz did not write are left out.

    Raises:
        RunError: the name is no name, or the hub cannot be reached or has no such run.
    """
    name = address.removeprefix(SCHEME)
    check_hub_name(address, name)
    folder = outputs / name.replace("/", "--")
    if is_run(folder):
        return folder
    if folder.exists():
        raise RunError(f"{folder}: in the way, and not a run; move it elsewhere, or choose another --outputs DIR")
    temporary = temporary_name(folder)
    try:
        say(f"downloading {address} …")
        with _asking(address, "check the name, the network, and the login (`hf auth login`) if it is private"):
            from huggingface_hub import snapshot_download

            snapshot_download(name, local_dir=temporary)
        remove(temporary / ".cache")
        for file in foreign(temporary):
            remove(temporary / file)
        check_links(temporary)
        if not is_run(temporary):
            raise RunError(
                f"{address}: not a run of latentviz; `latentviz export RUN --hub NAME` puts one there, and a data set "
                f"is given to `latentviz fit {address}`"
            )
        temporary.rename(folder)
    except OSError as error:
        raise WriteError(folder, error.strerror or str(error)) from None
    finally:
        remove(temporary)
    return folder


def publish(run: Path, name: str, more: Mapping[str, Path], *, public: bool, force: bool) -> str:
    """Puts a run into a repository on the hub, in one commit, and returns the repository's address.

    Args:
        run: its folder; what commands made of the run, other than clusterings, is left out.
        name: of the repository, `user/name`.
        more: further files by their names there.
        public: whether a new repository is for everybody.
        force: replace the run in a repository that exists; files that latentviz did not write stay there.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
    from huggingface_hub.errors import HfHubHTTPError

    files = {file: run / file for file in shared_files(run)} | dict(more)
    api = HfApi(library_name="latentviz")
    with _asking(f"--hub {name}", "check the network and the login (`hf auth login`)"):
        try:
            repository = api.create_repo(name, private=not public, exist_ok=force)
        except HfHubHTTPError as error:
            if error.response.status_code != 409:
                raise
            raise RunError(
                f"--hub {name}: exists already on the hub; replace its files with --force, or choose another name"
            ) from None
        name = repository.repo_id
        there = api.list_repo_files(name) if force else []
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            *(CommitOperationAdd(path, file) for path, file in sorted(files.items())),
            *(CommitOperationDelete(path) for path in there if is_ours(path) and path not in files),
        ]
        api.create_commit(name, operations, commit_message=f"latentviz run {run.name}")
    return str(repository)


def check_hub_name(option: str, name: str) -> None:
    """Raises a RunError if `name` cannot be that of a repository on the hub."""
    parts = name.split("/")
    try:
        for part in parts:
            check_name(option, part)
        allowed = len(parts) <= 2 and all(c.isascii() and (c.isalnum() or c in "-_.") for c in "".join(parts))
    except RunError:
        allowed = False
    if not allowed or len(name) > 96 or "--" in name or ".." in name or name.endswith(".git"):
        raise RunError(
            f"{option}: not a name on the hub (got {name[:100]!r}); it is USER/NAME or NAME, of letters, digits, '-', "
            "'_' and '.', 96 characters at most"
        )


@contextmanager
def _asking(what: str, advice: str) -> Iterator[None]:
    """Reports what goes wrong with the hub in one line, and leaves out its client's log and bars that nobody sees."""
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    client, bars = logging.getLogger("huggingface_hub"), not are_progress_bars_disabled()
    level = client.level
    client.setLevel(logging.CRITICAL)
    if not sys.stderr.isatty():
        disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as that of tables in a repository that is no data set
            yield
    except RunError:
        raise
    except Exception as error:  # noqa: BLE001 - the hub and its client raise errors of many families
        reason = message_of(error, 200) or type(error).__name__
        raise RunError(f"{what}: the Hugging Face hub refused or cannot be reached ({reason}); {advice}") from None
    finally:
        client.setLevel(level)
        if bars:
            enable_progress_bars()
