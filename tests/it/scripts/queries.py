"""Runs every ```cql block of a document in a keyspace: queries.py CASSANDRA KEYSPACE FILE. Each must answer with rows."""
import re
import sys

from servers import Rows

cassandra, keyspace, path = sys.argv[1:]
rows = Rows(cassandra, keyspace)
blocks = re.findall(r"```cql\n(.*?)```", open(path, encoding="utf-8").read(), re.S)
assert len(blocks) >= 5, f"only {len(blocks)} queries found in {path}"
for block in blocks:
    found = list(rows.session.execute(block))
    print(f"{len(found)} rows: {' '.join(block.split())}")
    assert found, "no row"
    for row in found:
        assert "mean" not in row or row["mean"] is not None, row
rows.close()
