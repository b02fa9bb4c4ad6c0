"""Reference of the API as a web page, built from the committed OpenAPI document: `page.build`."""
