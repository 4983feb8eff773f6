"""TensorRT on a board's GPU: the kernels of a graph, what each costs, and the predictor with its fit to figures."""
