"""Operations on a running environment, each recorded in the audit trail."""
