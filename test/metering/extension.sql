-- extension.sql - what setup.sql expects of the database: the extension, and a superuser who may tokenize.
create extension redoubt;
grant execute on function redoubt.text_token(text) to postgres;
