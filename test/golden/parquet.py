"""Parquet files in Hugging Face's layout of images, written by pyarrow: python parquet.py (pyarrow 26.0.1)."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent


def image(i: int) -> bytes:
    """Ten or more bytes that tell the number; some repeat, so that pyarrow writes a dictionary."""
    return (b"image %d " % (i % 7)) * (1 + i % 5)


def table(rows: int, labels: bool = True) -> pa.Table:
    images = [None if i == 5 else {"bytes": image(i), "path": f"{i}.JPEG"} for i in range(rows)]
    columns = {"image": pa.array(images, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))}
    if labels:
        columns["label"] = pa.array([None if i == 3 else -1 if i == 4 else i % 3 for i in range(rows)], pa.int64())
    names = {"label": {"names": ["cat", "dog", "owl"], "_type": "ClassLabel"}, "image": {"_type": "Image"}}
    metadata = {"huggingface": json.dumps({"info": {"features": names}})}
    return pa.table(columns).replace_schema_metadata(metadata)


if __name__ == "__main__":
    out = HERE / "parquet"
    out.mkdir(exist_ok=True)
    for codec in ["none", "snappy", "zstd", "gzip"]:
        pq.write_table(table(11), out / f"{codec}.parquet", compression=codec, row_group_size=4)
    pq.write_table(table(6, labels=False), out / "unlabelled.parquet", use_dictionary=False, data_page_version="2.0")
    pq.write_table(pa.table({"text": ["a"]}), out / "text.parquet")
    pq.write_table(pa.table({"img": pa.array([image(0)]), "label": ["cat"]}), out / "words.parquet")
