"""Steps on a cluster of two nodes, against the same steps in this process."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from gistcast.eval.inputs import Source

pytest.importorskip("ray", reason='needs Ray: pip install "gistcast[ray]"')

SCRIPT = """
import json, sys
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
from gistcast.eval.cache import Cache
from gistcast.eval.engines import Here, make_engine
from gistcast.eval.inputs import Source
from gistcast.eval.sweep import curves_of, load_case, run_curves

def rows(engine):
    case = load_case(Source("disc", Path(sys.argv[1])), (64, 64))
    curves = list(curves_of(case, ["x264"], ("psnr_rgb",), "cpu", 400))
    run_curves(curves, Cache(None), engine)
    engine.close()
    timed = ("encode_seconds", "decode_seconds")
    return [{k: v for k, v in r.items() if k not in timed} for c in curves for r in c.rows]

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
cluster.add_node(num_cpus=1)
ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
alive = sum(node["Alive"] for node in ray.nodes())
engine = make_engine("ray", None)
found = {"nodes": alive, "workers": engine.workers, "same": rows(engine) == rows(Here())}
ray.shutdown()
cluster.shutdown()
print(json.dumps(found))
"""


def test_two_nodes_find_what_one_process_finds(source: Source) -> None:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(source.path)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert json.loads(run.stdout.splitlines()[-1]) == {"nodes": 2, "workers": 2, "same": True}
