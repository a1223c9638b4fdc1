grant `roles/bigquery.dataViewer` on schema `acme.audience_finance` to "group:analytics.finance@acme.example";
grant `roles/bigquery.dataViewer` on schema `acme.audience_auditor` to "group:analytics.auditor@acme.example";
grant `roles/bigquery.dataViewer` on schema `acme.audience_viewer` to "group:analytics.viewer.alpha@acme.example";
grant `roles/bigquery.dataViewer` on schema `acme.audience_viewer` to "group:analytics.viewer.b-c@acme.example";
