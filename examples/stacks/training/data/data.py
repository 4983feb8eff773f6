"""The first step: the handwritten digits that come with scikit-learn, parted into training and test."""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

WORK = Path("/work")


def main() -> None:
    data = load_digits()
    images, labels = data.images.astype(np.float32), data.target.astype(np.int64)
    parts = train_test_split(images, labels, test_size=360, random_state=0, stratify=labels)
    train_images, test_images, train_labels, test_labels = parts
    np.savez(WORK / "train.npz", image=train_images, labels=train_labels)
    np.savez(WORK / "test.npz", image=test_images, labels=test_labels)
    print(f"{len(train_images)} pictures for the training, {len(test_images)} for the test")


if __name__ == "__main__":
    main()
