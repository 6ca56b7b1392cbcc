"""Applications from configuration: a YAML file becomes a running application.

`document` reads it, `catalog` describes the module types, `wiring` finds the partner of each
module, `modules` builds them, and `host` starts and stops the whole. No service of the suite is
needed.
"""
