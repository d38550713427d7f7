"""Times a folder of .onnx files on this machine: copy the folder there, and run `python run_blocks.py`.

It needs Python, numpy and onnxruntime, and nothing else. It writes measured.json, from which
`autox3d measure-latency --measured measured.json` makes a table. Run again after an interruption, it goes on where
it stopped. Nothing else should run meanwhile.
"""

import argparse
import json
import os
import platform
import statistics
import time

TOGETHER = 64  # files that are timed in turn, and kept in measured.json when all of them are


def main() -> None:
    """Time the files that measured.json does not hold yet."""
    parser = argparse.ArgumentParser(description="Time the .onnx files of this folder.")
    parser.add_argument("--threads", type=positive, default=1)
    parser.add_argument("--repeats", type=positive, default=7)
    parser.add_argument("--machine", default=platform.node() or "unnamed", help="its name, kept with the figures")
    args = parser.parse_args()
    folder = os.path.dirname(os.path.abspath(__file__))
    given = content_of(os.path.join(folder, "pieces.json"), "files")
    absent = [name for name in given["files"].values() if not os.path.exists(os.path.join(folder, name))]
    if absent:
        raise SystemExit(f"{folder}: {len(absent)} of {len(given['files'])} files are missing: {absent[0]}")
    setting = {**given["setting"], "threads": args.threads, "machine": args.machine}
    path = os.path.join(folder, "measured.json")
    done = read(path, setting)
    left = [key for key in given["files"] if key not in done]
    for first in range(0, len(left), TOGETHER):
        some = left[first : first + TOGETHER]
        paths = {key: os.path.join(folder, given["files"][key]) for key in some}
        done.update(measure(paths, args.threads, args.repeats))
        write(path, setting, done)
        print(f"{len(done)}/{len(given['files'])}: {some[-1]}: {done[some[-1]][0]:.2f} ms", flush=True)


def positive(text: str) -> int:
    """The whole number from 1 up that a text gives."""
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 up")
    return int(text)


def content_of(path: str, key: str) -> dict:
    """Read a JSON file of ours that has `setting` and `key`; exits where it is none."""
    try:
        with open(path, encoding="utf8") as file:
            data = json.load(file)
        dict(data["setting"]), dict(data[key])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SystemExit(f"{path}: can't be read: {error}") from None
    return data


def read(path: str, setting: dict) -> dict:
    """Read the times of an earlier run, and exit where they are of another setting."""
    if not os.path.exists(path):
        return {}
    data = content_of(path, "pieces")
    if data["setting"] != setting:
        raise SystemExit(f"{path}: was measured with {data['setting']}, not {setting}: move it away to start anew")
    return data["pieces"]


def write(path: str, setting: dict, done: dict) -> None:
    """Write the times beside the file first, then over it, so that it is whole at any time."""
    with open(path + ".tmp", "w", encoding="utf8") as file:
        json.dump({"setting": setting, "pieces": done}, file, indent=1)
    os.replace(path + ".tmp", path)


def measure(paths: dict, threads: int, repeats: int) -> dict:
    """Time some files in turn, round after round.

    Args:
        paths: the files by key.
        threads: of onnxruntime.
        repeats: timed passes of each file.
    Returns:
        Median, fastest and slowest milliseconds of each file, by key.
    """
    try:
        import numpy
        import onnxruntime
    except ImportError as error:
        raise SystemExit(f"run_blocks.py needs numpy and onnxruntime: {error}") from None

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    runs = {}
    for key, path in paths.items():
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        (source,) = session.get_inputs()
        runs[key] = session, {source.name: numpy.random.default_rng(0).standard_normal(source.shape, dtype="float32")}
    times: dict = {key: [] for key in paths}
    for _ in range(repeats):
        for key, (session, feed) in runs.items():
            session.run(None, feed)  # so that what ran before it leaves nothing of its own in the caches
            start = time.perf_counter()
            session.run(None, feed)
            times[key].append(1e3 * (time.perf_counter() - start))
    return {key: [statistics.median(each), min(each), max(each)] for key, each in times.items()}


if __name__ == "__main__":
    main()
