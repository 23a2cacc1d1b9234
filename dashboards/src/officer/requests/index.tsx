/** Requests: the register, one of them, a new one, or a person without one. */
import { Jobs } from '../jobs';
import { writePlace } from '../model/place';
import { Back } from '../parts/shown';
import { useOffice } from '../words';
import { NewRequestForm } from './new';
import { OneRequest } from './one';
import { RequestList } from './list';

export function Requests({ item }: { readonly item: string }) {
  const { t } = useOffice();
  if (item === '') return <RequestList />;
  return (
    <>
      <Back to={writePlace('requests')} text={t('requests.back')} />
      {item === 'new' ? (
        <NewRequestForm />
      ) : item === 'person' ? (
        <Jobs request={null} />
      ) : (
        <OneRequest key={item} number={item} />
      )}
    </>
  );
}
