"""Applications to begin with."""

API = """\
# {name}: a resource and a pipeline over SQLite.
name: {name}

modules:
  - name: web
    type: http.server
    config:
      address: ":${{PORT:-8080}}"
  - name: request-id
    type: http.middleware.requestid
  - name: db
    type: database.workflow
    config:
      driver: sqlite
      dsn: data/{name}.db
      migrations:
        - CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)
  - name: store
    type: persistence.store
    config:
      database: db
  - name: items
    type: api.handler
    config:
      resourceName: items
  - name: docs
    type: openapi.generator
  - name: health
    type: health.checker
  - name: metrics
    type: metrics.collector

workflows:
  http:
    routes:
      - {{method: GET, path: /items, handler: items}}
      - {{method: POST, path: /items, handler: items}}
      - {{method: GET, path: "/items/{{id}}", handler: items}}
      - {{method: PUT, path: "/items/{{id}}", handler: items}}
      - {{method: DELETE, path: "/items/{{id}}", handler: items}}
      - method: POST
        path: /notes
        middlewares: [request-id]
        pipeline:
          steps:
            - name: parse
              type: step.request_parse
              config: {{fields: [text]}}
            - name: check
              type: step.validate
              config: {{source: steps.parse, required_fields: [text]}}
            - name: save
              type: step.db_exec
              config:
                database: db
                query: INSERT INTO notes (text) VALUES (?)
                params: ["{{{{ .steps.parse.text }}}}"]
            - name: respond
              type: step.json_response
              config:
                status: 201
                body: {{id: "{{{{ .steps.save.last_id }}}}"}}
"""

PROXY = """\
# {name}: a proxy in front of two services.
name: {name}

modules:
  - name: web
    type: http.server
    config:
      address: ":${{PORT:-8080}}"
  - name: router
    type: http.router
  - name: proxy
    type: http.simple_proxy
    config:
      targets:
        /api/users: "${{USERS_URL:-http://127.0.0.1:9001}}"
        /api/orders: "${{ORDERS_URL:-http://127.0.0.1:9002}}"
  - name: health
    type: health.checker
"""

STATIC = """\
# {name}: the files of a folder.
name: {name}

modules:
  - name: web
    type: http.server
    config:
      address: ":${{PORT:-8080}}"
  - name: files
    type: static.fileserver
    config:
      root: ./public
  - name: health
    type: health.checker
"""

TEMPLATES = {"api": API, "proxy": PROXY, "static": STATIC}


def rendered(template: str, name: str) -> str:
    """Return the text of an application. Raises KeyError for an unknown template."""
    return TEMPLATES[template].format(name=name)
