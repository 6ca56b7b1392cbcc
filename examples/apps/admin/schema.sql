CREATE TABLE companies (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
);
CREATE TABLE organizations (
  id INTEGER PRIMARY KEY,
  company INTEGER NOT NULL REFERENCES companies,
  name TEXT NOT NULL,
  UNIQUE (company, name)
);
CREATE TABLE projects (
  id INTEGER PRIMARY KEY,
  organization INTEGER NOT NULL REFERENCES organizations,
  name TEXT NOT NULL,
  UNIQUE (organization, name)
);
CREATE TABLE workflows (
  name TEXT PRIMARY KEY CHECK (name NOT GLOB '*[^a-z0-9-]*'),
  version INTEGER NOT NULL,
  status TEXT NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'running', 'stopped')),
  deployed INTEGER
);
CREATE TABLE versions (
  name TEXT NOT NULL REFERENCES workflows ON DELETE CASCADE,
  version INTEGER NOT NULL,
  document TEXT NOT NULL,
  author TEXT NOT NULL,
  created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (name, version)
);
CREATE TABLE environments (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  url TEXT NOT NULL,
  region TEXT
);
CREATE TABLE providers (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('oidc', 'saml', 'aws', 'kubernetes')),
  issuer TEXT
);
CREATE TABLE mappings (
  id INTEGER PRIMARY KEY,
  provider INTEGER NOT NULL REFERENCES providers ON DELETE CASCADE,
  claim TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'editor', 'viewer'))
);
CREATE TABLE mocks (
  id INTEGER PRIMARY KEY,
  pipeline TEXT NOT NULL,
  step TEXT NOT NULL,
  answer TEXT,
  UNIQUE (pipeline, step)
);
CREATE TABLE audit (
  id INTEGER PRIMARY KEY,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  target TEXT NOT NULL,
  at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);
