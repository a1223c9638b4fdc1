create or replace row access policy writer on `acme.marts.fct_invoices` grant to ("serviceAccount:loader@acme.iam.gserviceaccount.com") filter using (true);
create or replace row access policy all_tenants on `acme.marts.fct_invoices` grant to ("group:analytics.finance@acme.example", "group:analytics.auditor@acme.example") filter using (true);
create or replace row access policy own_viewer_alpha_8ed3f6 on `acme.marts.fct_invoices` grant to ("group:analytics.viewer.alpha@acme.example") filter using (tenant_id = 'alpha');
create or replace row access policy own_viewer_b_c_ea8fa8 on `acme.marts.fct_invoices` grant to ("group:analytics.viewer.b-c@acme.example") filter using (tenant_id = 'b-c');
create or replace row access policy writer on `acme.marts.fct_tickets` grant to ("serviceAccount:loader@acme.iam.gserviceaccount.com") filter using (true);
create or replace row access policy all_tenants on `acme.marts.fct_tickets` grant to ("group:analytics.auditor@acme.example") filter using (true);
create or replace row access policy own_viewer_alpha_8ed3f6 on `acme.marts.fct_tickets` grant to ("group:analytics.viewer.alpha@acme.example") filter using (tenant_id = 'alpha');
create or replace row access policy own_viewer_b_c_ea8fa8 on `acme.marts.fct_tickets` grant to ("group:analytics.viewer.b-c@acme.example") filter using (tenant_id = 'b-c');
