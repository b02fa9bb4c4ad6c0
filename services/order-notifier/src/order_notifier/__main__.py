"""Entry point: prepare the process before anything imports OpenTelemetry."""

from order_shared.runtime.program import begin


def run() -> None:
    begin("order-notifier")
    from order_notifier import main  # noqa: PLC0415

    main.run()


if __name__ == "__main__":
    run()
