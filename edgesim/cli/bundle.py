"""``edgesim bundle``."""

from pathlib import Path
from typing import Annotated

import typer

from edgesim.cli import _console
from edgesim.cli._app import OUTPUT, new_app
from edgesim.cli._console import print_json
from edgesim.cli._options import AnnotationOption, ContextOption, JsonOption, PushOption
from edgesim.cli._outputs import require_outputs
from edgesim.cli._values import named_values
from edgesim.errors import ExitCode
from edgesim.jobs.bundle import bundle
from edgesim.units import counted, format_bytes

app = new_app()


@app.examples(
    "edgesim bundle result.json -o detector.edgesim.tar",
    "edgesim bundle result.json -o detector.edgesim.tar --with-image",
    "edgesim bundle result.json -o detector.edgesim.tar --push registry.example.org/shop/detector:run-1",
)
def bundle_command(
    result: Annotated[Path, typer.Argument(metavar="RESULT.json", help="The result of a run.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write this archive, NAME.edgesim.tar.", rich_help_panel=OUTPUT
        ),
    ],
    with_image: Annotated[
        bool, typer.Option("--with-image", help="Include the container images of the run, as an OCI layout.")
    ] = False,
    context: ContextOption = None,
    push: PushOption = None,
    annotation: AnnotationOption = None,
    as_json: JsonOption = False,
) -> int:
    """Pack a result with everything that its run used into one archive.

    Call the command in the directory where the run was started. The same content gives the same bytes.
    """
    require_outputs([("--output", output)], [result])
    written = bundle(
        result,
        output,
        with_image=with_image,
        push=push,
        annotations=named_values(annotation, "--annotation"),
        context=context,
        listener=_console.listener(),
    )
    if as_json:
        print_json(
            {
                "path": str(written.path),
                "digest": written.digest,
                "size_bytes": written.size_bytes,
                "files": written.files,
                "images": [image.model_dump(mode="json") for image in written.images],
                "published": written.published,
                "published_result": written.published_result,
                "annotations": written.annotations,
            }
        )
        return ExitCode.OK
    print(f"{written.path}: {counted(written.files, 'file')}, {format_bytes(written.size_bytes)}, {written.digest}")
    for image in written.images:
        where = "in the bundle" if image.name is not None else "not in the bundle: --with-image puts it in"
        print(f"image {image.reference}, {image.id[:19]}: {where}")
    print(f"edgesim replay {written.path}")
    if written.published is not None:
        print(f"edgesim replay {written.published}")
        print(f"the result, a referrer of the bundle: {written.published_result}")
    return ExitCode.OK
