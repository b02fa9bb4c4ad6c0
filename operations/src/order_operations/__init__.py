"""Operations on a running environment. The audit trail records each change."""
