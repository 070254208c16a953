"""Model files for other machines: frozen graphs, ONNX, and what Ascend's tools make of them."""
