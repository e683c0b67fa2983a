"""Weights of CompressAI's zoo as safetensors: python compressai_weights.py *.pth.tar

The zoo's files are pickles; only tensors are taken out of them, by torch's restricted unpickler.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

for path in map(Path, sys.argv[1:]):
    tensors = torch.load(path, map_location="cpu", weights_only=True)
    target = path.with_name(path.name.removesuffix(".tar").removesuffix(".pth") + ".safetensors")
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, target)
    print(target)
