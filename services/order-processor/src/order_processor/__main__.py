"""Entry point: prepare the process before anything imports OpenTelemetry."""

from order_shared.runtime.program import begin


def run() -> None:
    begin("order-processor")
    from order_processor import main  # noqa: PLC0415

    main.run()


if __name__ == "__main__":
    run()
