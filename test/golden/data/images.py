"""What Pillow makes of images: decoding, resizing, and ADM's centre crop. Run: python images.py

Writes `images/` (small files in the less common encodings) and `images.safetensors` (their pixels; resizing and crops of
synthetic pixels) and, where ImageNet's images are at hand, `imagenet.png` and `imagenet.json`.
"""

import json
import os
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from safetensors.numpy import save_file

FOLDER = Path(__file__).parent
IMAGES = FOLDER / "images"
IMAGENET = Path(os.environ.get("MACTOK_DATA", FOLDER / "../../../../shared/data")) / "imagenet"

# width, height, new width, new height; the last is tall enough for Pillow 13 to do its rows first
RESIZES = [(50, 37, 34, 25), (37, 46, 18, 23), (32, 32, 40, 40), (21, 9, 21, 9), (7, 5, 31, 11), (19, 60, 9, 30)]
# width, height, size: halved twice, once, not at all, enlarged, tall
CROPS = [(150, 97, 24), (65, 65, 32), (47, 38, 32), (20, 28, 32), (24, 80, 12)]
IMAGENET_SIZE = 64
IMAGENET_NAMES = [
    "n02091032/Italian_greyhound.JPEG",  # the largest
    "n03109150/corkscrew.JPEG",
    "n01871265/tusker.JPEG",  # the smallest, enlarged
    "n02823750/beer_glass.JPEG",  # grey
    "n02676566/acoustic_guitar.JPEG",  # grey, with a profile
    "n02167151/ground_beetle.JPEG",  # the widest
    "n07248320/book_jacket.JPEG",  # the tallest
    "n04371430/swimming_trunks.JPEG",  # with a profile near sRGB
    "n01440764/tench.JPEG",
    "n01930112/nematode.JPEG",
    "n02104029/kuvasz.JPEG",
    "n03868863/oxygen_mask.JPEG",  # with a profile far from sRGB
]


def centre_crop(image: Image.Image, size: int) -> np.ndarray:
    """ADM's crop: halve, bicubic, centre (method of openai/guided-diffusion's center_crop_arr)."""
    while min(image.size) >= 2 * size:
        image = image.resize(tuple(x // 2 for x in image.size), Image.Resampling.BOX)
    scale = size / min(image.size)
    image = image.resize(tuple(round(x * scale) for x in image.size), Image.Resampling.BICUBIC)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return np.asarray(image)[top : top + size, left : left + size]


def synthetic(seed: int, width: int, height: int) -> np.ndarray:
    """Waves with noise, and hard edges for the resampling to overshoot at."""
    generator = np.random.Generator(np.random.PCG64(seed))
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(generator.uniform(0.1, 0.6) * x + generator.uniform(0.1, 0.6) * y) for _ in range(3)]
    pixels = 128 + 100 * np.stack(waves, -1) + generator.normal(0, 20, (height, width, 3))
    pixels[height // 3 : height // 2, width // 4 : width // 2] = (255, 0, 255)
    return np.clip(np.round(pixels), 0, 255).astype(np.uint8)


def encode_images() -> None:
    IMAGES.mkdir(exist_ok=True)
    image = Image.fromarray(synthetic(1, 24, 16))
    alpha = Image.fromarray(synthetic(2, 24, 16)[:, :, 0])
    image.convert("CMYK").save(IMAGES / "cmyk.jpg", quality=90)
    image.convert("CMYK").save(IMAGES / "cmyk.tif", compression="tiff_lzw")
    image.convert("L").save(IMAGES / "grey.jpg", quality=90)
    image.convert("1").save(IMAGES / "bilevel.png")
    image.quantize(32).save(IMAGES / "palette.png")
    Image.merge("LA", (image.convert("L"), alpha)).save(IMAGES / "grey-alpha.png")
    Image.merge("RGBA", (*image.split(), alpha)).save(IMAGES / "alpha.png")
    image.save(IMAGES / "progressive.jpg", quality=80, progressive=True, subsampling="4:2:0")
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        image.save(IMAGES / f"orientation-{orientation}.jpg", quality=80, exif=exif)


def make() -> None:
    tensors: dict[str, np.ndarray] = {}
    encode_images()
    for path in sorted(IMAGES.iterdir()):
        tensors[f"decoded/{path.name}"] = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
    for seed, (width, height, new_width, new_height) in enumerate(RESIZES):
        source = synthetic(10 + seed, width, height)
        tensors[f"source/{width}x{height}"] = source
        for name, kernel in ("box", Image.Resampling.BOX), ("bicubic", Image.Resampling.BICUBIC):
            resized = Image.fromarray(source).resize((new_width, new_height), kernel)
            tensors[f"{name}/{width}x{height}/{new_width}x{new_height}"] = np.asarray(resized)
    for seed, (width, height, size) in enumerate(CROPS):
        source = synthetic(20 + seed, width, height)
        tensors[f"source/{width}x{height}"] = source
        tensors[f"crop/{width}x{height}/{size}"] = centre_crop(Image.fromarray(source), size)
    golden = json.dumps({"origin": "Pillow", "pillow": version("pillow"), "numpy": version("numpy")}, sort_keys=True)
    contiguous = {key: np.ascontiguousarray(value) for key, value in tensors.items()}
    save_file(contiguous, FOLDER / "images.safetensors", {"golden": golden})
    (FOLDER / "images.safetensors").chmod(0o644)

    if IMAGENET.is_dir():
        crops = [centre_crop(Image.open(IMAGENET / name).convert("RGB"), IMAGENET_SIZE) for name in IMAGENET_NAMES]
        Image.fromarray(np.concatenate(crops)).save(FOLDER / "imagenet.png", optimize=True)
        (FOLDER / "imagenet.json").write_text(json.dumps(IMAGENET_NAMES, indent=2) + "\n")


if __name__ == "__main__":
    make()
