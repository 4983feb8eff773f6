"""The second step: a small network learns the digits. NEURONS is the size of its hidden layer."""

import os
from pathlib import Path

import joblib
import numpy as np
from sklearn.neural_network import MLPClassifier

WORK = Path("/work")


def main() -> None:
    data = np.load(WORK / "train.npz")
    neurons = int(os.environ["NEURONS"])
    network = MLPClassifier(hidden_layer_sizes=(neurons,), max_iter=1000, random_state=0)
    network.fit(data["image"].reshape(len(data["image"]), -1) / 16, data["labels"])
    joblib.dump(network, WORK / "network.joblib")
    print(f"{neurons} neurons, {network.n_iter_} rounds, loss {network.loss_:.4f}")


if __name__ == "__main__":
    main()
