"""Writes the calibration plot of a report as a picture of its own, for other pages to show.

It is drawn from the report's `scores.json`, by the function that draws it on the report's page.
"""

import argparse
import json
from pathlib import Path

from nmt.evaluation.plots import calibration_plot
from nmt.run_folder import write_atomically

STYLE = Path(__file__).parent.parent / "nmt" / "evaluation" / "templates" / "style.css"


def main() -> None:
    """Draw what the confidence of one report has come to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path, help="a report folder with scores.json")
    parser.add_argument("picture", type=Path, help="the SVG file to write")
    options = parser.parse_args()
    content = json.loads((options.report / "scores.json").read_text(encoding="utf-8"))
    calibration = content["calibration"]
    if calibration is None:
        parser.error(
            f"{options.report}: the report has no calibration: the model had no confidence"
        )
    points = [(one["confidence"], one["quality"], one["count"]) for one in calibration["bins"]]
    drawn = str(calibration_plot(points, label="chrF2 / 100 over the confidence"))
    # a page knows what an svg is and how it looks; a file of its own must say so
    style = f"<style>{STYLE.read_text(encoding='utf-8')}</style></svg>"
    picture = drawn.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    write_atomically(options.picture, f"{picture.removesuffix('</svg>')}{style}\n")
    print(f"{options.picture}: {calibration['count']} sentences, off by {calibration['error']:.3f}")


if __name__ == "__main__":
    main()
