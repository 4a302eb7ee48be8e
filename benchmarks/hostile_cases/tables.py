"""Tables of cases; to add one, add a line.

`LINES` are commands: TINY stands for the settings of a training that takes a second, DATA and NEW for data of the
run's kind. `FOREIGN`, `IN_RUN`, `LINKS` and `LOCKED` are shell lines, run first in the folder of a case, in which
`outputs/r` is a finished run and `outside/` must stay as it is. Each meets several commands, the kinds in turn.
"""

import itertools
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

Plant = Callable[[Path, random.Random], str]  # does something in the folder of a case, and says what
KINDS = ("image", "text", "vectors")
QUICK = "reduce.method=pca cluster.method=gmm cluster.n_clusters=3"
SMALL = {
    "image": "trainer.max_epochs=2 model.latent_dim=4 model.width=8",
    "text": "trainer.max_epochs=2 model.latent_dim=4 model.width=8 model.memory=8",
    "vectors": "trainer.max_epochs=2 model.latent_dim=4 model.width=8",
}


@dataclass(frozen=True)
class Case:
    """One case.

    Attributes:
        kind: data kind of the run.
        command: words after `latentviz`; ("py", expression) of Python; ("sh", line) with Python's own start.
        plant: what is done first: a shell line, or a function that returns what it did.
        around: a function that the child calls first; its name is printed.
        stop: signal sent at a random moment.
        codes: exit codes that are right; None: 0 or 2.
        says: exit code 2 needs a line on standard error.
        never: what standard error must not match.
        dies: what native libraries print that may end the process themselves, with any code.
    """

    kind: str
    command: str | tuple[str, ...]
    plant: str | Plant = ""
    around: Callable[[Path, random.Random], None] | None = None
    stop: signal.Signals | None = None
    codes: frozenset[int] | None = None
    says: bool = True
    never: str = ""
    dies: str = ""


# Every command that reads a run, most than one way.
READING = (
    "evaluate r",
    f"cluster r {QUICK} --name again",
    f"cluster r {QUICK} --force",
    "map r title=x",
    "map r --clustering tree",
    "generate r --n 3",
    "generate r --cluster 0 --n 2",
    "generate r --at 0,0",
    "generate r --between 0 1 --steps 2",
    "generate r --name kept --force --n 2",
    "generate r --traverse --steps 2",
    "recommend r 0 -k 3",
    "recommend r 0 --where 'cluster == 0' --save",
    "recommend r 0 --clustering tree --name kept --force",
    "encode r NEW --name again",
    "encode r NEW --name kept --force --clustering tree",
    "export r --safetensors --force",
    "runs",
    "runs --json",
    "fit DATA --run r --resume trainer.max_epochs=3",
    "fit outputs/r/config.yaml --run copy trainer.max_epochs=1",
    "config outputs/r/config.yaml",
    "verify r",
)
IN_PYTHON = (
    'lv.open("r").mu[:3].sum()',
    'lv.open("r").items',
    'lv.open("r").summary',
    'lv.open("r").clusterings',
    'lv.open("r").clustering("default").points',
    'lv.open("r").clustering("tree").clusters',
    'lv.evaluate("r")',
    'lv.generate("r", n=2)',
    'lv.recommend("r", [0, 1], k=2)',
    'lv.map("r", title="x")',
    'lv.export("r", safetensors=True, force=True)',
)

# What a run can hold instead of an artefact: `F` is the artefact.
LINKS = (
    "ln -sfn $PWD/outside/thesis.tex F",
    "ln -sfn $PWD/outside/precious F",
    "ln -sfn /dev/zero F",
    "ln -sfn /dev/full F",
    "ln -sfn F F",
    "ln -sfn ../../../../outside/nothing F",
    "mkfifo F",
    "mkdir F",
    "mknod F c 1 5",
    "cp outside/thesis.tex F",
    ": > F",
    "truncate -s 3T F",
    "true",  # it is missing
)
LOCKED = (
    "chmod 000 F",
    "chmod 400 outputs/r",
    "chmod 500 outputs/r",
    "chmod 000 outputs",
    "chmod -R a-w outputs",
    "chmod 000 outside/new.*",
)

# Folders that are not runs, or not only runs, which --force meets; and other states of a run's surroundings.
FOREIGN = (
    "mkdir outputs/x; echo 'mine: yes' > outputs/x/config.yaml; cp outside/thesis.tex outputs/x",
    "mkdir outputs/x; echo '{}' > outputs/x/run.json; cp outside/thesis.tex outputs/x",
    "mkdir -p outputs/x/cache; cp outside/thesis.tex outputs/x/cache",
    "mkdir -p outputs/x/cache; cp outside/thesis.tex outputs/x/cache/images.npy",
    "mkdir -p outputs/x/checkpoints outputs/x/samples; cp outside/thesis.tex outputs/x/items.parquet",
    "mkdir outputs/x; cp outside/thesis.tex outputs/x/.writable",
    "cp outside/thesis.tex outputs/x",
    "ln -s $PWD/outside outputs/x",
    "ln -s $PWD/outside/precious outputs/x",
    "ln -s $PWD/outside/thesis.tex outputs/x",
    "ln -s $PWD/nowhere outputs/x",
    "mkfifo outputs/x",
    "mkdir outputs/x; ln -s $PWD/outside/precious/config.yaml outputs/x/config.yaml",
    "mkdir outputs/x; echo '{\"format_version\": 1}' > outputs/x/run.json; cp outside/thesis.tex outputs/x",
    "mkdir outputs/.x.replaced; cp outside/thesis.tex outputs/.x.replaced",
    "ln -s $PWD/outside outputs/.x.replaced",
    "ln -s $PWD/outside/thesis.tex outputs/.x.lock",
    "mkdir outputs/.x.lock",
    "mkfifo outputs/.x.lock",
    "cp -r outside outputs/x; echo '# latentviz fit' > outputs/x/config.yaml",
)
IN_RUN = (
    "ln -s $PWD/outside/thesis.tex outputs/r/.clusters-again.lock",
    "ln -s $PWD/outside/thesis.tex outputs/r/.clusters-default.lock",
    "ln -s $PWD/outside/thesis.tex outputs/.r.lock",
    "ln -s $PWD/outside outputs/r/clusters/again",
    "ln -s $PWD/outside outputs/r/generated/again; ln -s $PWD/outside outputs/r/encoded/again",
    "rm -r outputs/r/clusters/default; ln -s $PWD/outside/precious outputs/r/clusters/default",
    "rm -r outputs/r/generated/kept; ln -s $PWD/outside outputs/r/generated/kept",
    "rm -r outputs/r/clusters; ln -s $PWD/outside outputs/r/clusters",
    "rm -r outputs/r/generated; ln -s $PWD/outside/precious outputs/r/generated",
    "rm -r outputs/r/encoded; ln -s $PWD/outside outputs/r/encoded",
    "rm -r outputs/r/recommended; ln -s $PWD/outside outputs/r/recommended",
    "rm -r outputs/r/exported; ln -s $PWD/outside outputs/r/exported",
    "mv outputs/r elsewhere; ln -s $PWD/elsewhere outputs/r",
    "mv outputs elsewhere; ln -s elsewhere outputs",
    "mv outputs/r/cache elsewhere; ln -s $PWD/elsewhere outputs/r/cache",
    "mv outputs/r/checkpoints elsewhere; ln -s $PWD/elsewhere outputs/r/checkpoints",
    "cp outside/thesis.tex outputs/r",
    "cp outside/thesis.tex outputs/r/clusters/default; cp -r outside/precious outputs/r/generated/kept",
    "mkdir -p outputs/r/clusters/half; cp outputs/r/clusters/default/points.parquet outputs/r/clusters/half",
    "rm outputs/r/run.json",
    "rm outputs/r/run.json outputs/r/mu.npy",
    "rm outputs/r/config.yaml",
    "rm -r outputs/r/clusters/default/clusters.json",
    "cp -r outputs/r outputs/r2; rm outputs/r2/mu.npy",
    "cp outputs/r/logvar.npy outputs/r/mu.npy",
    "touch -d 1970-01-01 outputs/r/*; touch -d 2200-01-01 outputs/r/config.yaml",
    "sed -i 's/$/\\r/' outputs/r/config.yaml",
    "sed -i '1i\\\\xef\\xbb\\xbf' outputs/r/run.json",
    "cp -r outputs/r outputs/'r r'",
)

LINES = """
--version
--help
fit
fit --help
fitt
recommend
encode r
fit nowhere
fit ''
runs r
fit DATA --run '' TINY
fit DATA --outputs '' TINY
runs --outputs ''
runs --outputs nowhere
evaluate nowhere
fit DATA TINY
fit DATA --run r TINY
fit DATA --resume TINY
fit DATA --run r --resume TINY
fit DATA --dry-run
fit outside TINY
fit outputs TINY
fit outputs/r TINY
fit . TINY
fit /dev/zero
fit /dev/null
fit outside/thesis.tex TINY
fit outputs/r/mu.npy --dry-run
fit outputs/r/items.parquet --dry-run
fit DATA x
fit DATA =
fit DATA x=
cluster r2
cluster r r
cluster outputs/r
cluster outputs
cluster outside/precious
cluster r --name r
cluster r --name ..
cluster r --name a/b --force
cluster r --name '' --force
cluster r --name .hidden
map r --clustering none
map r --clustering ../..
map r --clustering ''
map r theme=pink
map r title=
map r colour_by=label
map r colour_by=none
map r layers=[]
map r layers=[hover]
map r layers=x
generate r --n 0
generate r --n -1
generate r --n 1e3
generate r --seed -1
generate r --steps 1
generate r --seed 99999999999999999999
generate r --n 99999999999
generate r --steps 99999999999
generate r --like 0 --spread nan
generate r --like 0 --spread inf
generate r --like 0 --spread -1
generate r --like 0 --spread 1e308
generate r --at 1e308,1e308
generate r --at nan,0
generate r --at 1
generate r --at ''
generate r --at 1,2,3
generate r --cluster 99
generate r --cluster -1 --n 1
generate r --cluster 99999999999999999999
generate r --like ''
generate r --like nothing
generate r --like 60
generate r --vector ''
generate r --vector '-'
generate r --vector '0 - 0'
generate r --vector '0 + + 1'
generate r --between 0 0 --steps 2
generate r --between 0 cluster:99
generate r --manifold 2 --n 1
generate r --manifold 99999999
generate r --sampler none
generate r --sampler kde --n 2
generate r --spread 2
generate r --sampler gmm --n 2
generate r --cluster 0 --sampler kde
generate r --clustering tree --cluster 0
generate r --reconstruct NEW
generate r --reconstruct 0 0 0
generate r --reconstruct outside/thesis.tex
generate r --name ../../outside/x
generate r --name kept
generate r --name a/../b
generate r --n 1 --json
recommend r
recommend r ''
recommend r 0 -k 0
recommend r 0 -k -1
recommend r 0 -k 999999999999
recommend r 0 --diverse 2
recommend r 0 --diverse nan
recommend r 0 --metric manhattan
recommend r 0 --on x
recommend r 0 --where x
recommend r 0 --where 'cluster =='
recommend r 0 --where 'cluster == 99'
recommend r 0 --where '__import__(1)'
recommend r 0 --not 0
recommend r 0 --not
recommend r /dev/zero
recommend r 0 0 0
recommend r outside
recommend r outside/new.npy
recommend r outputs/r/run.json
encode r outside/thesis.tex
encode r outside
encode r outputs/r
encode r /dev/null
encode r ''
encode r NEW --clustering none
encode r NEW --name kept
encode r DATA --name ../../../outside/precious
encode r NEW --name ../../../outside/precious --force
export r
export r --onnx --force
export nowhere --onnx
config
config nowhere
config DATA
config digits
config digits x=1
recipes
recipes x
schema
config outside/precious/config.yaml
fit outside/precious/config.yaml
fit hf:
fit hf:../..
fit sklearn:
verify
verify r
verify outputs/r
verify nowhere
verify outside
verify r r
fit DATA --run ../../outside/x TINY
fit DATA --run ../outside/precious --force TINY
fit DATA --outputs outside/thesis.tex TINY
fit DATA --outputs /proc TINY
fit DATA --outputs /dev/null TINY
runs --outputs /dev/null
runs --outputs outside
""".splitlines()  # the first line is empty: no command


def every(plants: Sequence[str | Plant], commands: Sequence[str | tuple[str, ...]], each: int = 0) -> Iterator[Case]:
    """Pair each plant with so many commands (0: with all), going round the kinds and the commands."""
    kind, command = itertools.cycle(KINDS), itertools.cycle(commands)
    for plant in plants:
        for _ in range(each or len(commands)):
            yield Case(next(kind), next(command), plant)
