from order_api.main import run

run()
