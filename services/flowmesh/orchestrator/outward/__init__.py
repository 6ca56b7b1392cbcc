"""Children in other projects: started, awaited and stopped by calls at a gateway."""
