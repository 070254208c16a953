"""Model files for other machines: frozen graphs, ONNX, and what ATC and msame make of them."""
