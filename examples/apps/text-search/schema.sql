CREATE TABLE pages (id TEXT NOT NULL UNIQUE, text TEXT NOT NULL);
CREATE VIRTUAL TABLE words USING fts5 (text, content = 'pages');
CREATE TRIGGER pages_words AFTER INSERT ON pages BEGIN
  INSERT INTO words (rowid, text) VALUES (new.rowid, new.text);
END;
