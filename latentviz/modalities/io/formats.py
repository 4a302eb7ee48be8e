"""Formats of other libraries: the package that reads each, or how to convert those that are not read."""

from importlib.util import find_spec

from latentviz.errors import DataError

# The package that `foreign` reads files of a suffix with.
FOREIGN = {
    ".pt": "torch",
    ".pth": "torch",
    ".safetensors": "safetensors",
    ".xlsx": "openpyxl",
    ".xlsm": "openpyxl",
    ".h5ad": "h5py",
    ".zarr": "zarr",
}
_EXTRAS = {"safetensors": "safetensors", "openpyxl": "xlsx", "h5py": "h5ad", "zarr": "zarr"}

# What files that are not read are, and how to convert them.
CONVERSIONS = {
    suffix: how
    for suffixes, how in {
        ".pkl .pickle .joblib": "a pickle, which can run code and is never loaded; if you trust it, save it with "
        "numpy.save('data.npy', array), or its table with df.to_parquet('data.parquet')",
        ".h5 .hdf5 .hdf": "HDF5, in which data can lie anywhere; save its array with "
        "numpy.save('data.npy', h5py.File(FILE)[KEY][:])",
        ".mat": "a MATLAB file; save its array with numpy.save('data.npy', scipy.io.loadmat(FILE)[NAME])",
        ".xls .xlsb .ods": "a spreadsheet of a format that is not read; save it as .xlsx or .csv",
        ".7z .rar .zst": "an archive of a format that is not read; unpack it and give the folder",
        ".tfrecord .tfrecords": "TFRecords, whose fields only their writer knows; save them as .npz or .parquet",
        ".rds .rdata .rda": "an R file; save it with write.csv(x, 'data.csv', row.names = FALSE)",
        ".sqlite .sqlite3 .db": "a database; export a table with "
        "`sqlite3 -header -csv FILE 'select * from TABLE' > data.csv`",
        ".dta .sav .sas7bdat": "a file of a statistics program; read it with pandas.read_stata, read_spss or "
        "read_sas, and save it with df.to_parquet('data.parquet')",
        ".docx .pdf .epub .odt .rtf": "a document, not plain text; convert it to .txt with `pandoc FILE -o data.txt` "
        "or `pdftotext FILE`",
        ".mp4 .avi .mov .mkv .webm": "a video; save its frames with `ffmpeg -i FILE frames/%06d.png`, give the folder",
        ".orc .avro": "a table of a format that is not read; save it with df.to_parquet('data.parquet')",
    }.items()
    for suffix in suffixes.split()
}


def need(package: str, what: str) -> None:
    """Raise a DataError unless an optional package is there."""
    if find_spec(package) is None:
        extra = _EXTRAS.get(package, package)
        raise DataError(f"{what}: needs the package {package}; install it with `pip install 'latentviz[{extra}]'`")
