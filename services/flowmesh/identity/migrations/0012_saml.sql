alter table identity_providers
    -- The page of a SAML provider that ends a session.
    add column slo_url text not null default '',
    -- A user with a password becomes that of a subject with the same verified address.
    add column link_by_email boolean not null default false;
