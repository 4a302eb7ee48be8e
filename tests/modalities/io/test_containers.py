"""From what the user names to data: archives, globs, `~`, and files of other libraries."""

import io
import os
import pickle
import shutil
import stat
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentviz.errors import DataError
from latentviz.modalities import detect
from latentviz.modalities.image.config import ImageData
from latentviz.modalities.image.read import read as read_images
from latentviz.modalities.io import archives, formats
from latentviz.modalities.io.containers import locate
from latentviz.modalities.sources import load_config, run_name
from latentviz.modalities.text.config import TextData
from latentviz.modalities.text.read import read as read_texts
from latentviz.modalities.vectors.config import VectorData
from latentviz.modalities.vectors.read import read as read_vectors

X = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)


def png(value: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((10, 10), value, np.uint8)).save(out, "PNG")
    return out.getvalue()


def photos(folder: Path) -> Path:
    for i in range(20):
        file = folder / ("cat" if i % 2 else "dog") / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(i))
    return folder


def rows(path: Path | str, **settings) -> np.ndarray:
    return np.concatenate(list(read_vectors(VectorData(path=str(path), **settings)).blocks()))


class TestArchives:
    @pytest.mark.parametrize(
        ("form", "suffix"), [("zip", ".zip"), ("tar", ".tar"), ("gztar", ".tar.gz"), ("xztar", ".tar.xz")]
    )
    def test_a_folder_of_images(self, tmp_path, form, suffix):
        photos(tmp_path / "in" / "pets")
        shutil.make_archive(str(tmp_path / "pets"), form, tmp_path / "in")
        path = str(tmp_path / f"pets{suffix}")
        assert detect(path) == "image"
        source = read_images(ImageData(path=path))
        assert sorted(set(source.labels)) == ["cat", "dog"]
        assert source.ids[0] == "cat/1.png"
        assert source.origins[0] == f"{path}/cat/1.png"
        with source.open(0) as image:
            assert np.asarray(image)[0, 0] == 1

    def test_a_single_table(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
            archive.writestr("train.csv", "text\n" + "".join(f"a sentence of {i} words\n" for i in range(20)))
        assert detect(str(tmp_path / "data.zip")) == "text"
        source = read_texts(TextData(path=str(tmp_path / "data.zip")))
        assert len(source) == 20

    def test_what_macos_adds_is_left_out(self, tmp_path):
        """Reported: btzr-io/Villain#49, BodenmillerGroup/ImcSegmentationPipeline#39."""
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            for i in range(20):
                archive.writestr(f"p/{i}.png", png(i))
                archive.writestr(f"__MACOSX/p/._{i}.png", b"resource fork")
            archive.writestr("p/.DS_Store", b"x")
        source = read_images(ImageData(path=str(tmp_path / "a.zip")))
        assert len(source) == 20
        assert source.ids[0] == "0.png"

    def test_backslashes_of_windows_are_folders(self, tmp_path):
        """Reported: python/cpython#91036, python/cpython#117084."""
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            for i in range(20):
                archive.writestr(f"{'cat' if i % 2 else 'dog'}\\{i}.png", png(i))
        source = read_images(ImageData(path=str(tmp_path / "a.zip")))
        assert sorted(set(source.labels)) == ["cat", "dog"]

    def test_names_in_utf8_without_the_flag(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            for i in range(20):
                archive.writestr(zipfile.ZipInfo(f"x{i}.png"), png(i))
        content = (
            (tmp_path / "a.zip").read_bytes().replace(b"x7.png", "é.png".encode()).replace(b"x8.png", "ö.png".encode())
        )
        (tmp_path / "a.zip").write_bytes(content)
        assert {"é.png", "ö.png"} <= set(read_images(ImageData(path=str(tmp_path / "a.zip"))).ids)

    @pytest.mark.parametrize("name", ["../evil.png", "/etc/evil.png", "a/../../evil.png", "C:/evil.png"])
    @pytest.mark.parametrize("form", ["zip", "tar"])
    def test_members_outside_of_the_folder_are_refused(self, tmp_path, name, form):
        path = tmp_path / f"a.{form}"
        if form == "zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr(name, png(0))
        else:
            with tarfile.open(path, "w") as archive:
                member = tarfile.TarInfo(name)
                member.size = len(png(0))
                archive.addfile(member, io.BytesIO(png(0)))
        with pytest.raises(DataError, match="outside of the folder"):
            detect(str(path))
        assert not list(tmp_path.rglob("evil.png"))

    def test_links_are_not_followed(self, tmp_path):
        secret = tmp_path / "secret.png"
        secret.write_bytes(png(0))
        with tarfile.open(tmp_path / "a.tar", "w") as archive:
            for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
                member = tarfile.TarInfo(f"{kind.decode()}.png")
                member.type, member.linkname = kind, str(secret)
                archive.addfile(member)
            for i in range(20):
                member = tarfile.TarInfo(f"p{i}.png")
                member.size = len(png(i))
                archive.addfile(member, io.BytesIO(png(i)))
        source = read_images(ImageData(path=str(tmp_path / "a.tar")))
        assert len(source) == 20
        assert any("links" in note and "2" in note for note in source.notes)
        with zipfile.ZipFile(tmp_path / "b.zip", "w") as zipped:
            link = zipfile.ZipInfo("link.png")
            link.external_attr = (stat.S_IFLNK | 0o777) << 16
            zipped.writestr(link, str(secret))
            for i in range(20):
                zipped.writestr(f"p{i}.png", png(i))
        assert len(read_images(ImageData(path=str(tmp_path / "b.zip")))) == 20

    @pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
    def test_bombs(self, tmp_path, suffix, monkeypatch):
        monkeypatch.setattr(archives, "FREE_GROWTH", 2**20)
        path, zeros = tmp_path / f"bomb{suffix}", bytes(2**24)
        if suffix == ".zip":
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("a.txt", zeros)
        else:
            with tarfile.open(path, "w:gz") as archive:
                member = tarfile.TarInfo("a.txt")
                member.size = len(zeros)
                archive.addfile(member, io.BytesIO(zeros))
        with pytest.raises(DataError, match="bomb"):
            detect(str(path))

    def test_too_many_files(self, tmp_path, monkeypatch):
        monkeypatch.setattr(archives, "MOST_FILES", 5)
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            for i in range(6):
                archive.writestr(f"{i}.txt", "x")
        with pytest.raises(DataError, match="more than 5 files"):
            detect(str(tmp_path / "a.zip"))

    @pytest.mark.parametrize("suffix", [".zip", ".tar", ".tgz"])
    def test_damaged(self, tmp_path, suffix):
        file = tmp_path / f"a{suffix}"
        file.write_bytes(b"PK\3\4 nonsense" * 10)
        with pytest.raises(DataError, match="not a whole archive"):
            detect(str(file))

    def test_encrypted(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr("a.txt", "hello")
        content = bytearray((tmp_path / "a.zip").read_bytes())
        content[6] |= 1
        content[content.index(b"PK\1\2") + 8] |= 1
        (tmp_path / "a.zip").write_bytes(bytes(content))
        with pytest.raises(DataError, match="encrypted"):
            detect(str(tmp_path / "a.zip"))

    def test_nothing_is_left_behind(self, tmp_path, monkeypatch):
        monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
        (tmp_path / "temporary").mkdir()
        photos(tmp_path / "in")
        shutil.make_archive(str(tmp_path / "a"), "zip", tmp_path / "in")
        import subprocess

        code = "import sys; from latentviz.modalities import detect; print(detect(sys.argv[1]))"
        out = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "a.zip")], capture_output=True, text=True, check=True
        )
        assert out.stdout.strip() == "image"
        assert not list((tmp_path / "temporary").glob("latentviz-*"))


class TestPlaces:
    def test_a_glob(self, tmp_path):
        photos(tmp_path / "pets")
        source = read_images(ImageData(path=str(tmp_path / "pets" / "*" / "1*.png")))
        assert len(source) == 11
        assert source.origins[0] == str(tmp_path / "pets" / "cat" / "1.png")
        assert any("11 files match" in note for note in source.notes)
        assert detect(str(tmp_path / "pets" / "**" / "*.png")) == "image"
        assert run_name("pets/*/1*.png") == "pets"

    def test_a_glob_of_texts(self, tmp_path):
        for i in range(20):
            (tmp_path / f"{i}.txt").write_text(f"text {i}")
            (tmp_path / f"{i}.log").write_text(f"log {i}")
        assert len(read_texts(TextData(path=str(tmp_path / "*.txt")))) == 20

    def test_a_name_with_brackets_is_a_name(self, tmp_path):
        photos(tmp_path / "pets [2024]")
        assert len(read_images(ImageData(path=str(tmp_path / "pets [2024]")))) == 20

    def test_items_of_vectors(self, tmp_path, monkeypatch):
        from latentviz.modalities.vectors.prepare import prepare

        monkeypatch.setenv("HOME", str(tmp_path))
        np.save(tmp_path / "x.npy", X[:20])
        photos(tmp_path / "in")
        shutil.make_archive(str(tmp_path / "a"), "zip", tmp_path / "in")
        data = VectorData(path="~/x.npy", items="~/a.zip")
        prepared = prepare(data, tmp_path / "cache", 0)
        assert prepared.items.column("id")[0] == "cat/1.png"

    def test_no_match(self, tmp_path):
        with pytest.raises(DataError, match="no file or folder matches"):
            detect(str(tmp_path / "*.jpg"))

    def test_home(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        np.save(tmp_path / "x.npy", X)
        assert detect("~/x.npy") == "vectors"
        assert rows("~/x.npy").shape == X.shape
        assert load_config("~/x.npy", {})[0].data.path == "~/x.npy"

    @pytest.mark.parametrize(
        ("url", "step"),
        [
            ("https://example.org/x.zip", "curl -LO"),
            ("s3://bucket/photos", "aws s3 cp"),
            ("gs://bucket/photos", "gcloud storage cp"),
            ("ftp://example.org/x", "download"),
            ("https://huggingface.co/datasets/ylecun/mnist", "hf:ylecun/mnist"),
            ("hf://datasets/ylecun/mnist/x.parquet", "hf:ylecun/mnist"),
        ],
    )
    def test_remote(self, url, step):
        with pytest.raises(DataError, match=step) as refused:
            load_config(url, {})
        assert "\n" not in str(refused.value)


class TestForeign:
    def test_sparse(self, tmp_path):
        """Reported: MaartenGr/BERTopic#210, scikit-learn/scikit-learn#7275."""
        from scipy import sparse

        dense = np.where(np.random.default_rng(0).random((50, 30)) < 0.1, 1.5, 0)
        for form in ("csr", "csc", "coo", "bsr"):
            sparse.save_npz(tmp_path / f"{form}.npz", getattr(sparse, f"{form}_matrix")(dense))
            assert detect(str(tmp_path / f"{form}.npz")) == "vectors"
            assert (rows(tmp_path / f"{form}.npz") == dense).all()
        notes = read_vectors(VectorData(path=str(tmp_path / "csr.npz"))).about.notes
        assert any("sparse" in note and "50 × 30" in note for note in notes)

    def test_sparse_with_hostile_indices(self, tmp_path):
        np.savez(
            tmp_path / "x.npz", format=b"csr", shape=np.array([2, 3]), data=np.ones(2), indices=np.array([0, 10**6]),
            indptr=np.array([0, 1, 2]),
        )  # fmt: skip
        with pytest.raises(DataError, match="cannot be read"):
            rows(tmp_path / "x.npz")

    def test_torch(self, tmp_path):
        torch = pytest.importorskip("torch")
        x = torch.from_numpy(X)
        torch.save(x, tmp_path / "x.pt")
        torch.save({"embeddings": x, "labels": torch.arange(40)}, tmp_path / "named.pt")
        torch.save(list(x), tmp_path / "rows.pth")
        torch.save(x.to(torch.bfloat16), tmp_path / "half.pt")
        for name in ("x.pt", "named.pt", "rows.pth"):
            assert detect(str(tmp_path / name)) == "vectors"
            assert (rows(tmp_path / name) == X).all()
        assert rows(tmp_path / "half.pt") == pytest.approx(X, rel=0.01)
        about = read_vectors(VectorData(path=str(tmp_path / "named.pt"))).about
        assert about.labels[:2] == ["0", "1"]
        assert not any("/tmp/latentviz-" in note for note in about.notes)
        torch.save(torch.nn.Linear(2, 2), tmp_path / "model.pt")
        (tmp_path / "code.pt").write_bytes(pickle.dumps(os.getcwd))
        for name in ("model.pt", "code.pt"):
            with pytest.raises(DataError, match=r"torch\.save\(tensor"):
                detect(str(tmp_path / name))

    def test_safetensors(self, tmp_path):
        save = pytest.importorskip("safetensors.numpy").save_file
        save({"embeddings": X, "labels": np.arange(40)}, tmp_path / "x.safetensors")
        assert (rows(tmp_path / "x.safetensors") == X).all()

    def test_excel(self, tmp_path):
        openpyxl = pytest.importorskip("openpyxl")
        book = openpyxl.Workbook()
        book.active.append(["id", "text", "kind", None])
        for i in range(20):
            book.active.append([f"{i:03}", f"a long sentence of number {i}", "ab"[i % 2]])
        book.create_sheet("empty")
        book.save(tmp_path / "x.xlsx")
        assert detect(str(tmp_path / "x.xlsx")) == "text"
        source = read_texts(TextData(path=str(tmp_path / "x.xlsx")))
        assert list(source.ids)[:2] == ["000", "001"]
        assert source.origins[0] == "x.xlsx#0"
        assert any("sheet Sheet" in note for note in source.notes)
        book["empty"].append(["text"])
        book["empty"].append(["another"])
        book.save(tmp_path / "two.xlsx")
        with pytest.raises(DataError, match="Sheet, empty"):
            detect(str(tmp_path / "two.xlsx"))

    def anndata(self, store, x) -> None:
        from scipy import sparse

        matrix = sparse.csr_matrix(x)
        group = store.create_group("X")
        group.attrs.update({"encoding-type": "csr_matrix", "shape": list(matrix.shape)})
        obs = store.create_group("obs")
        obs.attrs.update({"_index": "cell", "column-order": ["cell_type", "n"]})
        kind = obs.create_group("cell_type")
        for place, name, values in (
            *((group, name, getattr(matrix, name)) for name in ("data", "indices", "indptr")),
            (obs, "cell", np.arange(len(x)) + 100),
            (obs, "n", np.arange(len(x))),
            (kind, "codes", np.arange(len(x)) % 2),
            (kind, "categories", np.array([7, 8])),
        ):
            if hasattr(place, "create_array"):
                place.create_array(name, data=values)
            else:
                place[name] = values

    @pytest.mark.parametrize("suffix", [".h5ad", ".zarr"])
    def test_anndata(self, tmp_path, suffix):
        """Reported: scverse/scvi-tools#48."""
        path = tmp_path / f"cells{suffix}"
        if suffix == ".h5ad":
            with pytest.importorskip("h5py").File(path, "w") as store:
                self.anndata(store, np.maximum(X, 0))
        else:
            self.anndata(pytest.importorskip("zarr").open_group(str(path), mode="w"), np.maximum(X, 0))
        assert detect(str(path)) == "vectors"
        assert (rows(path) == np.maximum(X, 0)).all()
        about = read_vectors(VectorData(path=str(path), label_column="cell_type")).about
        assert about.ids[:2] == ["100", "101"]
        assert about.labels[:2] == ["7", "8"]
        assert any("matrix X, 40 × 6" in note for note in about.notes)

    def test_a_link_of_hdf5_to_another_file_is_refused(self, tmp_path):
        h5py = pytest.importorskip("h5py")
        with h5py.File(tmp_path / "other.h5", "w") as other:
            other["X"] = X
        with h5py.File(tmp_path / "x.h5ad", "w") as store:
            store["X"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "X")
            store.create_group("obs")
        with pytest.raises(DataError, match="another file"):
            detect(str(tmp_path / "x.h5ad"))

    def test_a_zarr_array(self, tmp_path):
        pytest.importorskip("zarr").save(str(tmp_path / "x.zarr"), X)
        assert detect(str(tmp_path / "x.zarr")) == "vectors"
        assert (rows(tmp_path / "x.zarr") == X).all()

    @pytest.mark.parametrize("suffix", [".pt", ".safetensors", ".xlsx", ".h5ad"])
    def test_damaged(self, tmp_path, suffix):
        file = tmp_path / f"x{suffix}"
        file.write_bytes(b"PK\3\4 nonsense" * 9)
        with pytest.raises(DataError, match=f"x{suffix}: ") as refused:
            detect(str(file))
        assert "\n" not in str(refused.value)

    @pytest.mark.parametrize(
        ("suffix", "package", "extra"),
        [
            (".xlsx", "openpyxl", "xlsx"),
            (".h5ad", "h5py", "h5ad"),
            (".zarr", "zarr", "zarr"),
            (".safetensors", "safetensors", "safetensors"),
        ],
    )
    def test_a_missing_package(self, tmp_path, suffix, package, extra, monkeypatch):
        (tmp_path / f"x{suffix}").write_bytes(b"x")
        monkeypatch.setattr(formats, "find_spec", lambda name: None if name == package else 1)
        with pytest.raises(DataError, match=rf"pip install 'latentviz\[{extra}\]'"):
            detect(str(tmp_path / f"x{suffix}"))

    @pytest.mark.parametrize("suffix", sorted(formats.CONVERSIONS))
    def test_other_formats_have_a_conversion(self, tmp_path, suffix):
        (tmp_path / f"x{suffix}").write_bytes(b"x")
        with pytest.raises(DataError, match=r"save|unpack|convert|export") as refused:
            locate(str(tmp_path / f"x{suffix}"))
        assert "\n" not in str(refused.value)
