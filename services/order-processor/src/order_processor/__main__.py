from order_processor.main import run

run()
